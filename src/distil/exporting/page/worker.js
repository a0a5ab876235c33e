async function U(e){return"caches"in globalThis?caches.open(`distil ${new URL("./",import.meta.url)} ${e}`):null}async function L(e,t,n,s,A){let o=new URL(e,import.meta.url).href,r=await n?.match(o),F=r??await fetch(`${o}?version=${t}`);if(!F.ok||!F.body)throw new Error(`${e} cannot be loaded: ${F.status} ${F.statusText}`);let i=[],a=F.body.getReader();for(;;){let{done:c,value:f}=await a.read();if(c)break;i.push(f),A(f.length)}let C=new Blob(i);if(s!==null&&C.size!==s)throw new Error(`${e} is damaged: ${C.size} bytes instead of ${s}. Export the page again.`);let D=!!r;n&&!r&&(D=await n.put(o,new Response(C)).then(()=>!0,()=>!1));let B=new Uint8Array(await C.arrayBuffer());return{bytes:e.endsWith(".gz")&&B[0]===31&&B[1]===139?await l1(C):B,isKept:D}}async function l1(e){let t=e.stream().pipeThrough(new DecompressionStream("gzip"));return new Uint8Array(await new Response(t).arrayBuffer())}function E(e){let t=e.trim().split(/\s+/).map(n=>{let[s,A=s]=n.split("-");return[parseInt(s,16),parseInt(A,16)]});return{has(n){let s=n.codePointAt(0),A=0,o=t.length;for(;A<o;){let r=A+o>>1;t[r][1]<s?A=r+1:o=r}return A<t.length&&t[A][0]<=s}}}var m=E(`
9-D 20 85 A0 1680 2000-200A 2028-2029 202F 205F 3000
`),j=E(`
0-8 B-C E-1F 7F-9F AD 600-605 61C 6DD 70F 180E 200B-200F 202A-202E 2060-2064 2066-206F E000-F8FF
FEFF FFF9-FFFB FFFD 110BD 1BCA0-1BCA3 1D173-1D17A E0001 E0020-E007F F0000-FFFFD 100000-10FFFD
`),$=E(`
3400-4DBF 4E00-9FFF F900-FAFF 20000-2A6DF 2A700-2B81F 2B920-2CEAF 2F800-2FA1F
`),G=E(`
21-2F 3A-40 5B-60 7B-7E A1 A7 AB B6-B7 BB BF 37E 387 55A-55F 589-58A 5BE 5C0 5C3 5C6 5F3-5F4
609-60A 60C-60D 61B 61E-61F 66A-66D 6D4 700-70D 7F7-7F9 830-83E 85E 964-965 970 AF0 DF4 E4F
E5A-E5B F04-F12 F14 F3A-F3D F85 FD0-FD4 FD9-FDA 104A-104F 10FB 1360-1368 1400 166D-166E 169B-169C
16EB-16ED 1735-1736 17D4-17D6 17D8-17DA 1800-180A 1944-1945 1A1E-1A1F 1AA0-1AA6 1AA8-1AAD
1B5A-1B60 1BFC-1BFF 1C3B-1C3F 1C7E-1C7F 1CC0-1CC7 1CD3 2010-2027 2030-2043 2045-2051 2053-205E
207D-207E 208D-208E 2308-230B 2329-232A 2768-2775 27C5-27C6 27E6-27EF 2983-2998 29D8-29DB
29FC-29FD 2CF9-2CFC 2CFE-2CFF 2D70 2E00-2E2E 2E30-2E42 3001-3003 3008-3011 3014-301F 3030 303D
30A0 30FB A4FE-A4FF A60D-A60F A673 A67E A6F2-A6F7 A874-A877 A8CE-A8CF A8F8-A8FA A8FC A92E-A92F
A95F A9C1-A9CD A9DE-A9DF AA5C-AA5F AADE-AADF AAF0-AAF1 ABEB FD3E-FD3F FE10-FE19 FE30-FE52
FE54-FE61 FE63 FE68 FE6A-FE6B FF01-FF03 FF05-FF0A FF0C-FF0F FF1A-FF1B FF1F-FF20 FF3B-FF3D FF3F
FF5B FF5D FF5F-FF65 10100-10102 1039F 103D0 1056F 10857 1091F 1093F 10A50-10A58 10A7F 10AF0-10AF6
10B39-10B3F 10B99-10B9C 11047-1104D 110BB-110BC 110BE-110C1 11140-11143 11174-11175 111C5-111C9
111CD 111DB 111DD-111DF 11238-1123D 112A9 114C6 115C1-115D7 11641-11643 1173C-1173E 12470-12474
16A6E-16A6F 16AF5 16B37-16B3B 16B44 1BC9F 1DA87-1DA8B
`),H=E(`
300-33F 342 345-36F 483-487 591-5BD 5BF 5C1-5C2 5C4-5C5 5C7 610-61A 64B-65F 670 6D6-6DC 6DF-6E4
6E7-6E8 6EA-6ED 711 730-74A 7A6-7B0 7EB-7F3 816-819 81B-823 825-827 829-82D 859-85B 8E3-902 93A
93C 941-948 94D 951-957 962-963 981 9BC 9C1-9C4 9CD 9E2-9E3 A01-A02 A3C A41-A42 A47-A48 A4B-A4D
A51 A70-A71 A75 A81-A82 ABC AC1-AC5 AC7-AC8 ACD AE2-AE3 B01 B3C B3F B41-B44 B4D B56 B62-B63 B82
BC0 BCD C00 C3E-C40 C46-C47 C4A-C4D C55-C56 C62-C63 C81 CBC CBF CC6 CCC-CCD CE2-CE3 D01 D41-D44
D4D D62-D63 DCA DD2-DD4 DD6 E31 E34-E3A E47-E4E EB1 EB4-EB9 EBB-EBC EC8-ECD F18-F19 F35 F37 F39
F71-F72 F74 F77 F79-F7E F80 F82-F84 F86-F87 F8D-F92 F94-F97 F99-F9C F9E-FA1 FA3-FA6 FA8-FAB
FAD-FB8 FBA-FBC FC6 102D-1030 1032-1037 1039-103A 103D-103E 1058-1059 105E-1060 1071-1074 1082
1085-1086 108D 109D 135D-135F 1712-1714 1732-1734 1752-1753 1772-1773 17B4-17B5 17B7-17BD 17C6
17C9-17D3 17DD 180B-180D 18A9 1920-1922 1927-1928 1932 1939-193B 1A17-1A18 1A1B 1A56 1A58-1A5E
1A60 1A62 1A65-1A6C 1A73-1A7C 1A7F 1AB0-1ABD 1B00-1B03 1B34 1B36-1B3A 1B3C 1B42 1B6B-1B73
1B80-1B81 1BA2-1BA5 1BA8-1BA9 1BAB-1BAD 1BE6 1BE8-1BE9 1BED 1BEF-1BF1 1C2C-1C33 1C36-1C37
1CD0-1CD2 1CD4-1CE0 1CE2-1CE8 1CED 1CF4 1CF8-1CF9 1DC0-1DF5 1DFC-1DFF 20D0-20DC 20E1 20E5-20F0
2CEF-2CF1 2D7F 2DE0-2DFF 302A-302D 3099-309A A66F A674-A67D A69E-A69F A6F0-A6F1 A802 A806 A80B
A825-A826 A8C4 A8E0-A8F1 A926-A92D A947-A951 A980-A982 A9B3 A9B6-A9B9 A9BC A9E5 AA29-AA2E
AA31-AA32 AA35-AA36 AA43 AA4C AA7C AAB0 AAB2-AAB4 AAB7-AAB8 AABE-AABF AAC1 AAEC-AAED AAF6 ABE5
ABE8 ABED FB1E FE00-FE0F FE20-FE2F 101FD 102E0 10376-1037A 10A01-10A03 10A05-10A06 10A0C-10A0F
10A38-10A3A 10A3F 10AE5-10AE6 11001 11038-11046 1107F-11081 110B3-110B6 110B9-110BA 11100-11102
11127-1112B 1112D 11130-11134 11173 11180-11181 111B6-111BE 111CA-111CC 1122F-11231 11234
11236-11237 112DF 112E3-112EA 11300-11301 1133C 11340 11366-1136C 11370-11374 114B3-114B8 114BA
114BF-114C0 114C2-114C3 115B2-115B5 115BC-115BD 115BF-115C0 115DC-115DD 11633-1163A 1163D
1163F-11640 116AB 116AD 116B0-116B5 116B7 1171D-1171F 11722-11725 11727-1172B 16AF0-16AF4
16B30-16B36 16F8F-16F92 1BC9D-1BC9E 1D167-1D169 1D17B-1D182 1D185-1D18B 1D1AA-1D1AD 1D242-1D244
1DA00-1DA36 1DA3B-1DA6C 1DA75 1DA84 1DA9B-1DA9F 1DAA1-1DAAF 1E8D0-1E8D6 E0100-E01EF
`),K=E(`
C0-C5 C7-CF D1-D6 D9-DD E0-E5 E7-EF F1-F6 F9-FD FF-10F 112-125 128-130 134-137 139-13E 143-148
14C-151 154-165 168-17E 1A0-1A1 1AF-1B0 1CD-1DC 1DE-1E3 1E6-1F0 1F4-1F5 1F8-21B 21E-21F 226-233
340-341 343-344 374 37E 385-38A 38C 38E-390 3AA-3B0 3CA-3CE 3D3-3D4 400-401 403 407 40C-40E 419
439 450-451 453 457 45C-45E 476-477 4C1-4C2 4D0-4D3 4D6-4D7 4DA-4DF 4E2-4E7 4EA-4F5 4F8-4F9
622-626 6C0 6C2 6D3 929 931 934 958-95F 9CB-9CC 9DC-9DD 9DF A33 A36 A59-A5B A5E B48 B4B-B4C
B5C-B5D B94 BCA-BCC C48 CC0 CC7-CC8 CCA-CCB D4A-D4C DDA DDC-DDE F43 F4D F52 F57 F5C F69 F73
F75-F76 F78 F81 F93 F9D FA2 FA7 FAC FB9 1026 1B06 1B08 1B0A 1B0C 1B0E 1B12 1B3B 1B3D 1B40-1B41
1B43 1E00-1E99 1E9B 1EA0-1EF9 1F00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D
1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE 1FC1-1FC4 1FC6-1FD3 1FD6-1FDB 1FDD-1FEF 1FF2-1FF4 1FF6-1FFD
2000-2001 2126 212A-212B 219A-219B 21AE 21CD-21CF 2204 2209 220C 2224 2226 2241 2244 2247 2249
2260 2262 226D-2271 2274-2275 2278-2279 2280-2281 2284-2285 2288-2289 22AC-22AF 22E0-22E3
22EA-22ED 2329-232A 2ADC 304C 304E 3050 3052 3054 3056 3058 305A 305C 305E 3060 3062 3065 3067
3069 3070-3071 3073-3074 3076-3077 3079-307A 307C-307D 3094 309E 30AC 30AE 30B0 30B2 30B4 30B6
30B8 30BA 30BC 30BE 30C0 30C2 30C5 30C7 30C9 30D0-30D1 30D3-30D4 30D6-30D7 30D9-30DA 30DC-30DD
30F4 30F7-30FA 30FE AC00-D7A3 F900-FA0D FA10 FA12 FA15-FA1E FA20 FA22 FA25-FA26 FA2A-FA6D
FA70-FAD9 FB1D FB1F FB2A-FB36 FB38-FB3C FB3E FB40-FB41 FB43-FB44 FB46-FB4E 1109A 1109C 110AB
1112E-1112F 1134B-1134C 114BB-114BC 114BE 115BA-115BB 1D15E-1D164 1D1BB-1D1C0 2F800-2FA1D
`),q=E(`
41-5A C0-D6 D8-DE 100 102 104 106 108 10A 10C 10E 110 112 114 116 118 11A 11C 11E 120 122 124 126
128 12A 12C 12E 130 132 134 136 139 13B 13D 13F 141 143 145 147 14A 14C 14E 150 152 154 156 158
15A 15C 15E 160 162 164 166 168 16A 16C 16E 170 172 174 176 178-179 17B 17D 181-182 184 186-187
189-18B 18E-191 193-194 196-198 19C-19D 19F-1A0 1A2 1A4 1A6-1A7 1A9 1AC 1AE-1AF 1B1-1B3 1B5
1B7-1B8 1BC 1C4-1C5 1C7-1C8 1CA-1CB 1CD 1CF 1D1 1D3 1D5 1D7 1D9 1DB 1DE 1E0 1E2 1E4 1E6 1E8 1EA
1EC 1EE 1F1-1F2 1F4 1F6-1F8 1FA 1FC 1FE 200 202 204 206 208 20A 20C 20E 210 212 214 216 218 21A
21C 21E 220 222 224 226 228 22A 22C 22E 230 232 23A-23B 23D-23E 241 243-246 248 24A 24C 24E 370
372 376 37F 386 388-38A 38C 38E-38F 391-3A1 3A3-3AB 3CF 3D8 3DA 3DC 3DE 3E0 3E2 3E4 3E6 3E8 3EA
3EC 3EE 3F4 3F7 3F9-3FA 3FD-42F 460 462 464 466 468 46A 46C 46E 470 472 474 476 478 47A 47C 47E
480 48A 48C 48E 490 492 494 496 498 49A 49C 49E 4A0 4A2 4A4 4A6 4A8 4AA 4AC 4AE 4B0 4B2 4B4 4B6
4B8 4BA 4BC 4BE 4C0-4C1 4C3 4C5 4C7 4C9 4CB 4CD 4D0 4D2 4D4 4D6 4D8 4DA 4DC 4DE 4E0 4E2 4E4 4E6
4E8 4EA 4EC 4EE 4F0 4F2 4F4 4F6 4F8 4FA 4FC 4FE 500 502 504 506 508 50A 50C 50E 510 512 514 516
518 51A 51C 51E 520 522 524 526 528 52A 52C 52E 531-556 10A0-10C5 10C7 10CD 13A0-13F5 1C90-1CBA
1CBD-1CBF 1E00 1E02 1E04 1E06 1E08 1E0A 1E0C 1E0E 1E10 1E12 1E14 1E16 1E18 1E1A 1E1C 1E1E 1E20
1E22 1E24 1E26 1E28 1E2A 1E2C 1E2E 1E30 1E32 1E34 1E36 1E38 1E3A 1E3C 1E3E 1E40 1E42 1E44 1E46
1E48 1E4A 1E4C 1E4E 1E50 1E52 1E54 1E56 1E58 1E5A 1E5C 1E5E 1E60 1E62 1E64 1E66 1E68 1E6A 1E6C
1E6E 1E70 1E72 1E74 1E76 1E78 1E7A 1E7C 1E7E 1E80 1E82 1E84 1E86 1E88 1E8A 1E8C 1E8E 1E90 1E92
1E94 1E9E 1EA0 1EA2 1EA4 1EA6 1EA8 1EAA 1EAC 1EAE 1EB0 1EB2 1EB4 1EB6 1EB8 1EBA 1EBC 1EBE 1EC0
1EC2 1EC4 1EC6 1EC8 1ECA 1ECC 1ECE 1ED0 1ED2 1ED4 1ED6 1ED8 1EDA 1EDC 1EDE 1EE0 1EE2 1EE4 1EE6
1EE8 1EEA 1EEC 1EEE 1EF0 1EF2 1EF4 1EF6 1EF8 1EFA 1EFC 1EFE 1F08-1F0F 1F18-1F1D 1F28-1F2F
1F38-1F3F 1F48-1F4D 1F59 1F5B 1F5D 1F5F 1F68-1F6F 1F88-1F8F 1F98-1F9F 1FA8-1FAF 1FB8-1FBC
1FC8-1FCC 1FD8-1FDB 1FE8-1FEC 1FF8-1FFC 2126 212A-212B 2132 2160-216F 2183 24B6-24CF 2C00-2C2F
2C60 2C62-2C64 2C67 2C69 2C6B 2C6D-2C70 2C72 2C75 2C7E-2C80 2C82 2C84 2C86 2C88 2C8A 2C8C 2C8E
2C90 2C92 2C94 2C96 2C98 2C9A 2C9C 2C9E 2CA0 2CA2 2CA4 2CA6 2CA8 2CAA 2CAC 2CAE 2CB0 2CB2 2CB4
2CB6 2CB8 2CBA 2CBC 2CBE 2CC0 2CC2 2CC4 2CC6 2CC8 2CCA 2CCC 2CCE 2CD0 2CD2 2CD4 2CD6 2CD8 2CDA
2CDC 2CDE 2CE0 2CE2 2CEB 2CED 2CF2 A640 A642 A644 A646 A648 A64A A64C A64E A650 A652 A654 A656
A658 A65A A65C A65E A660 A662 A664 A666 A668 A66A A66C A680 A682 A684 A686 A688 A68A A68C A68E
A690 A692 A694 A696 A698 A69A A722 A724 A726 A728 A72A A72C A72E A732 A734 A736 A738 A73A A73C
A73E A740 A742 A744 A746 A748 A74A A74C A74E A750 A752 A754 A756 A758 A75A A75C A75E A760 A762
A764 A766 A768 A76A A76C A76E A779 A77B A77D-A77E A780 A782 A784 A786 A78B A78D A790 A792 A796
A798 A79A A79C A79E A7A0 A7A2 A7A4 A7A6 A7A8 A7AA-A7AE A7B0-A7B4 A7B6 A7B8 A7BA A7BC A7BE A7C0
A7C2 A7C4-A7C7 A7C9 A7D0 A7D6 A7D8 A7F5 FF21-FF3A 10400-10427 104B0-104D3 10570-1057A 1057C-1058A
1058C-10592 10594-10595 10C80-10CB2 118A0-118BF 16E40-16E5F 1E900-1E921
`),Y=new Map([[1,E(`
334-338 1CD4 1CE2-1CE8 20D2-20D3 20D8-20DA 20E5-20E6 20EA-20EB 10A39 16AF0-16AF4 1BC9E 1D167-1D169
`)],[7,E(`
93C 9BC A3C ABC B3C CBC 1037 1B34 1BE6 1C37 A9B3 110BA 11173 111CA 11236 112E9 1133C 11446 114C3
115C0 116B7 1E94A
`)],[8,E(`
3099-309A
`)],[9,E(`
94D 9CD A4D ACD B4D BCD C4D CCD D4D DCA E3A F84 1039-103A 1714 1734 17D2 1A60 1B44 1BAA-1BAB
1BF2-1BF3 2D7F A806 A8C4 A953 A9C0 AAF6 ABED 10A3F 11046 1107F 110B9 11133-11134 111C0 11235 112EA
1134D 11442 114C2 115BF 1163F 116B6 1172B 11C3F
`)],[10,E(`
5B0
`)],[11,E(`
5B1
`)],[12,E(`
5B2
`)],[13,E(`
5B3
`)],[14,E(`
5B4
`)],[15,E(`
5B5
`)],[16,E(`
5B6
`)],[17,E(`
5B7
`)],[18,E(`
5B8 5C7
`)],[19,E(`
5B9-5BA
`)],[20,E(`
5BB
`)],[21,E(`
5BC
`)],[22,E(`
5BD
`)],[23,E(`
5BF
`)],[24,E(`
5C1
`)],[25,E(`
5C2
`)],[26,E(`
FB1E
`)],[27,E(`
64B 8F0
`)],[28,E(`
64C 8F1
`)],[29,E(`
64D 8F2
`)],[30,E(`
618 64E
`)],[31,E(`
619 64F
`)],[32,E(`
61A 650
`)],[33,E(`
651
`)],[34,E(`
652
`)],[35,E(`
670
`)],[36,E(`
711
`)],[84,E(`
C55
`)],[91,E(`
C56
`)],[103,E(`
E38-E39
`)],[107,E(`
E48-E4B
`)],[118,E(`
EB8-EB9
`)],[122,E(`
EC8-ECB
`)],[129,E(`
F71
`)],[130,E(`
F72 F7A-F7D F80
`)],[132,E(`
F74
`)],[202,E(`
321-322 327-328 1DD0
`)],[214,E(`
1DCE
`)],[216,E(`
31B F39 1D165-1D166 1D16E-1D172
`)],[218,E(`
302A
`)],[220,E(`
316-319 31C-320 323-326 329-333 339-33C 347-349 34D-34E 353-356 359-35A 591 596 59B 5A2-5A7 5AA
5C5 655-656 65C 65F 6E3 6EA 6ED 731 734 737-739 73B-73C 73E 742 744 746 748 7F2 859-85B 8E3 8E6
8E9 8ED-8EF 8F6 8F9-8FA 952 F18-F19 F35 F37 FC6 108D 193B 1A18 1A7F 1AB5-1ABA 1ABD 1B6C 1CD5-1CD9
1CDC-1CDF 1CED 1DC2 1DCA 1DCF 1DFD 1DFF 20E8 20EC-20EF A92B-A92D AAB4 FE27-FE2D 101FD 102E0 10A0D
10A3A 10AE6 1D17B-1D182 1D18A-1D18B 1E8D0-1E8D6
`)],[222,E(`
59A 5AD 1939 302D
`)],[224,E(`
302E-302F
`)],[226,E(`
1D16D
`)],[228,E(`
5AE 18A9 302B
`)],[230,E(`
300-314 33D-33F 342 346 34A-34C 350-352 357 35B 363-36F 483-487 592-595 597-599 59C-5A1 5A8-5A9
5AB-5AC 5AF 5C4 610-617 653-654 657-65B 65D-65E 6D6-6DC 6DF-6E2 6E4 6E7-6E8 6EB-6EC 730 732-733
735-736 73A 73D 73F-741 743 745 747 749-74A 7EB-7F1 7F3 816-819 81B-823 825-827 829-82D 8D4-8E1
8E4-8E5 8E7-8E8 8EA-8EC 8F3-8F5 8F7-8F8 8FB-8FF 951 953-954 F82-F83 F86-F87 135D-135F 17DD 193A
1A17 1A75-1A7C 1AB0-1AB4 1ABB-1ABC 1B6B 1B6D-1B73 1CD0-1CD2 1CDA-1CDB 1CE0 1CF4 1CF8-1CF9
1DC0-1DC1 1DC3-1DC9 1DCB-1DCC 1DD1-1DF5 1DFB 1DFE 20D0-20D1 20D4-20D7 20DB-20DC 20E1 20E7 20E9
20F0 2CEF-2CF1 2DE0-2DFF A66F A674-A67D A69E-A69F A6F0-A6F1 A8E0-A8F1 AAB0 AAB2-AAB3 AAB7-AAB8
AABE-AABF AAC1 FE20-FE26 FE2E-FE2F 10376-1037A 10A0F 10A38 10AE5 11100-11102 11366-1136C
11370-11374 16B30-16B36 1D185-1D189 1D1AA-1D1AD 1D242-1D244 1E000-1E006 1E008-1E018 1E01B-1E021
1E023-1E024 1E026-1E02A 1E944-1E949
`)],[232,E(`
315 31A 358 302C
`)],[233,E(`
35C 35F 362 1DFC
`)],[234,E(`
35D-35E 360-361 1DCD
`)],[240,E(`
345
`)]]);var f1=/[\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\u200c\u200d\u24b6-\u24e9\u{1f130}-\u{1f149}\u{1f150}-\u{1f169}\u{1f170}-\u{1f189}]/u,_=class{constructor(t,n=!1){this.betweenSpaces=n,this.byFirst=new Map;for(let[s,A]of t){let o=Array.from(s),r=this.byFirst.get(o[0])??[];this.byFirst.set(o[0],r),r.push({characters:o,token:A}),r.sort((F,i)=>i.characters.length-F.characters.length)}}*split(t){let n=0;for(let s=0;s<t.length;){let A=this.#t(t,s);if(!A){s+=1;continue}let o=s,r=s+A.characters.length;s=r;let{token:F}=A;if(!(F.single_word&&(J(t[o-1])||J(t[r])))){if(F.lstrip)for(;o>n&&m.has(t[o-1]);)o-=1;if(F.rstrip)for(;r<t.length&&m.has(t[r]);)r+=1;n<o&&(yield{start:n,stop:o,token:null}),yield{start:o,stop:r,token:F},n=r}}n<t.length&&(yield{start:n,stop:t.length,token:null})}#t(t,n){return this.byFirst.get(t[n])?.find(({characters:s})=>s.every((A,o)=>t[n+o]===A)&&!(this.betweenSpaces&&(Q(t[n-1])||Q(t[n+s.length]))))}};function J(e){return e!==void 0&&f1.test(e)}function Q(e){return e!==void 0&&!m.has(e)}var O=class{constructor(t){this.options=t,this.stripsAccents=t.strip_accents??t.lowercase,this.expand=V(n=>this.#t(n)),this.finish=V(n=>this.#n(n))}normalize(t){let n=[],s=[];t.forEach((o,r)=>{for(let F of this.expand(o))n.push(F),s.push(r)}),this.stripsAccents&&([n,s]=h1(n,s));let A={characters:[],origins:[]};return n.forEach((o,r)=>{for(let F of this.finish(o))A.characters.push(F),A.origins.push(s[r])}),A}#t(t){let n=this.options;if(n.clean_text){if(j.has(t))return"";if(m.has(t))return" "}let s=n.handle_chinese_chars&&$.has(t);return this.stripsAccents&&K.has(t)&&(t=t.normalize("NFD")),s?` ${t} `:t}#n(t){return this.stripsAccents&&H.has(t)?"":this.options.lowercase&&q.has(t)?t.toLowerCase():t}};function V(e){let t=new Map;return n=>{let s=t.get(n);return s||t.set(n,s=Array.from(e(n))),s}}var u1=(()=>{let e=new Map;return t=>{if(t<"̀")return 0;let n=e.get(t);if(n===void 0){let s=[...Y].find(([,A])=>A.has(t));e.set(t,n=s?s[0]:0)}return n}})();function h1(e,t){let n=e.map(u1),s=(C,D)=>D===0||C===0||n[D-1]<=C;if(n.every(s))return[e,t];let A=t.map((C,D)=>D>0&&C===t[D-1]),o=t.filter((C,D)=>!A[D]),r=[],F=[];[...n,0].forEach((C,D)=>{if(C!==0){F.push(D);return}r.push(...F.sort((B,l)=>n[B]-n[l])),D<e.length&&r.push(D),F=[]});let i=-1,a=r.map(C=>(A[C]||(i+=1),o[Math.max(i,0)]));return[r.map(C=>e[C]),a]}var Z=1,z=2,X=new Map;function p1(e){let t=X.get(e);return t===void 0&&(t=G.has(e)?z:m.has(e)?Z:0,X.set(e,t)),t}function t1(e,t){let n=[],s=0;for(let A=0;A<=e.length;A+=1){let o=A<e.length?p1(e[A]):Z;o===0||o===z&&!t||(s<A&&n.push([s,A]),o===z&&n.push([A,A+1]),s=A+1)}return n}var d1=65536,x=class{constructor(t,{unknown:n,prefix:s,longestWord:A}){this.vocabulary=t,this.unknown=n,this.prefix=s,this.longestWord=A,this.memory=new Map}cut(t){let n=t.join(""),s=this.memory.get(n);return s||(s=this.#t(t),this.memory.size>=d1&&this.memory.clear(),this.memory.set(n,s)),s}#t(t){let n={ids:[this.vocabulary.get(this.unknown)],tokens:[this.unknown],ends:[t.length]};if(t.length>this.longestWord)return n;let s={ids:[],tokens:[],ends:[]};for(let A=0;A<t.length;){let o=t.length,r="",F;for(;o>A&&(r=(A?this.prefix:"")+t.slice(A,o).join(""),F=this.vocabulary.get(r),F===void 0);o-=1);if(F===void 0)return n;s.ids.push(F),s.tokens.push(r),s.ends.push(o),A=o}return s}};var I=class{constructor(t,n){let{model:s,normalizer:A,pre_tokenizer:o,post_processor:r,added_tokens:F}=t;this.basic=o.type==="BertPreTokenizer",this.normalizer=this.basic?new O(A):null,this.vocabulary=new Map(Object.entries(s.vocab)),this.prefix=s.continuing_subword_prefix,this.wordPiece=new x(this.vocabulary,{unknown:s.unk_token,prefix:this.prefix,longestWord:s.max_input_chars_per_word});let i=F;this.addedIds=new Map(i.map(c=>[c.content,c.id])),this.tokens=[];for(let c of[this.vocabulary,this.addedIds])for(let[f,h]of c)this.tokens[h]=f;let[a,C]=r.single.flatMap(c=>c.SpecialToken?r.special_tokens[c.SpecialToken.id].ids:[]);this.cls=a,this.sep=C,this.unknown=s.unk_token,this.mask=m1(n.mask_token),this.limit=n.model_max_length??1/0,this.truncationSide=n.truncation_side??"right",this.cleansUp=n.clean_up_tokenization_spaces??!0;let D=this.basic&&n.never_split||[];this.kept=new _(new Map(D.map(c=>[c,{content:c}])),!0);let B=i.filter(c=>!(c.special&&n.split_special_tokens));this.plain=new _(new Map(B.filter(c=>!c.normalized).map(c=>[c.content,c])));let l=new Map;for(let c of[...B].sort((f,h)=>+h.special-+f.special)){if(!c.normalized)continue;let f=this.#n(Array.from(c.content)).characters.join("");l.has(f)||l.set(f,c)}this.normalized=new _(l)}idOf(t){return this.addedIds.get(t)??this.vocabulary.get(t)}encode(t){let n=[],s=0,A=Array.from(w1(t)),o=({ids:r,tokens:F,ends:i},a,C)=>{let D=a;r.forEach((B,l)=>{let c=a+i[l];n.push({id:B,token:F[l],start:C(D),end:C(c-1)+1,word:s}),D=c}),s+=1};for(let{start:r,stop:F,token:i}of this.#t(A)){if(i){o(this.#s(i.content,A.slice(r,F)),r,B=>B);continue}let{characters:a,origins:C}=this.#n(A.slice(r,F)),D=B=>C[B]+r;for(let B of this.normalized.split(a)){let l=a.slice(B.start,B.stop);if(B.token){o(this.#s(B.token.content,l),B.start,D);continue}for(let[c,f]of t1(l,this.basic))o(this.wordPiece.cut(l.slice(c,f)),B.start+c,D)}}return n}*#t(t){for(let n of this.plain.split(t)){if(n.token){yield n;continue}for(let{start:s,stop:A,token:o}of this.kept.split(t.slice(n.start,n.stop)))yield{start:n.start+s,stop:n.start+A,token:o}}}#n(t){return this.normalizer?this.normalizer.normalize(t):{characters:t,origins:t.map((n,s)=>s)}}#s(t,n){return{ids:[this.idOf(t)??this.idOf(this.unknown)],tokens:[n.join("")],ends:[n.length]}}};function m1(e){return e&&(e.content??e)}function w1(e){return e.replace(/\p{Surrogate}/gu,"�")}var g1=4,N=class e{static async load(t,n,s){let A=await U(t.version),o=0,r=!0,F=async(c,f,h=null)=>{let{bytes:g,isKept:k}=await L(c,t.version,A,h,b=>{o+=b,s({loaded:o,total:Math.max(o,f)})});return r&&=k,g},i=async c=>JSON.parse(new TextDecoder().decode(await F(c,0))),a=async c=>{let{module:f,binary:h,bytes:g}=t.runtimes[c],k=t.bytes+g,b=await F(t.model,k,t.bytes),S=await F(h,k),M=c==="wasm"?n.threads??y1():1,y=await import(f);y.env.wasm.wasmBinary=S.buffer,y.env.wasm.numThreads=M;let B1=await y.InferenceSession.create(b,{executionProviders:[c],logSeverityLevel:3}),W=new e(t,y,B1,{device:c,threads:M});return{model:W,isRight:await W.error()<=t.check.tolerance}},C=null;await k1(t,n)&&(C=await a("webgpu").catch(c=>{if(n.device)throw c;return null})),(!C||!(C.isRight||n.device))&&(C=await a("wasm"));let{model:D,isRight:B}=C;D.config=await i("config.json"),D.tokenizer=new I(await i("tokenizer.json"),await i("tokenizer_config.json"));let l=!!A&&r;return D.facts={...D.facts,downloaded:o,isKept:l,isRight:B},D}constructor(t,n,s,A){this.page=t,this.ort=n,this.session=s,this.facts={...A,downloaded:0,isKept:!1,isRight:!1},this.tokens=0,this.hasCut=!1,this.config=null,this.tokenizer=null}get limit(){return Math.min(this.tokenizer.limit,this.config.max_position_embeddings)}get labels(){return this.config.id2label}async run(t){let n=t.length,s=Math.max(...t.map(({ids:a})=>a.length)),A=this.page.task==="multiple-choice"?[1,n,s]:[n,s],o=new BigInt64Array(n*s),r=new BigInt64Array(n*s);t.forEach((a,C)=>{this.tokens+=a.ids.length,this.hasCut||=a.cut,a.ids.forEach((D,B)=>{o[C*s+B]=BigInt(D),r[C*s+B]=1n})});let{Tensor:F}=this.ort,i=await this.session.run({input_ids:new F("int64",o,A),attention_mask:new F("int64",r,A)},this.page.outputs);return this.page.outputs.map(a=>({data:i[a].data,dims:i[a].dims}))}async error(){let{ids:t,outputs:n}=this.page.check,A=(await this.run(t.map(o=>({ids:o,cut:!1})))).flatMap(({data:o},r)=>n[r].map((F,i)=>Math.abs(F-o[i])));return Math.max(...A.map(o=>Number.isNaN(o)?1/0:o))}};async function k1(e,t){if(t.device==="wasm"||e.dtype==="int8"&&!t.device)return!1;let{gpu:n}=navigator,s=await n?.requestAdapter().catch(()=>null);if(!s&&t.device)throw new Error("This browser has no WebGPU here.");return!!(s&&(t.device||!(s.info??s).isFallbackAdapter))}function y1(){return globalThis.crossOriginIsolated?Math.min(navigator.hardwareConcurrency,g1):1}function w(e,t,n){let s=e.encode(t),A=R(e,s,n-2);return P(e,A,null,A.length<s.length)}function n1(e,t,n,s){let[A,o]=[t,n].map(a=>e.encode(a)),r=s-3,[F,i]=[A.length,o.length];if(F+i>r){let a=Math.min(F,i),C=Math.max(a,r-a);a+C>r&&(a=Math.floor(r/2),C=a+r%2),[F,i]=A.length>o.length?[C,a]:[a,C]}return P(e,R(e,A,F),R(e,o,i),A.length+o.length>r)}function s1(e,t,n,{limit:s,shared:A}){let o=s-3-t.length,r=[];for(let i=0;r.push([i,Math.min(i+o,n.length)]),!(i+o>=n.length);i+=o-A);let F=n.length;return r.map(([i,a])=>(e.truncationSide==="left"&&([i,a]=[F-a,F-i]),P(e,t,n.slice(i,a),!1)))}function R(e,t,n){return t.length<=n?t:e.truncationSide==="left"?t.slice(t.length-n):t.slice(0,n)}function P({cls:e,sep:t},n,s,A){let o=r=>r.map(F=>F.id);return{ids:[e,...o(n),t,...s?[...o(s),t]:[]],pieces:[null,...n,null,...s?[...s,null]:[]],second:n.length+2,cut:A}}function p(e){let t=Array.from(e),n=t.reduce((o,r)=>Math.max(o,r),-1/0),s=t.map(o=>Math.exp(o-n)),A=s.reduce((o,r)=>o+r,0);return s.map(o=>o/A)}function e1(e){return Array.from(e,t=>t<0?Math.exp(t)/(1+Math.exp(t)):1/(1+Math.exp(-t)))}function u(e,t=e.length){return Array.from(e,(s,A)=>A).sort((s,A)=>e[A]-e[s]||s-A).slice(0,t)}var b1=384,M1=128,_1=64,S1=15,O1=12;async function A1(e,{question:t,context:n}){let{tokenizer:s}=e,A=Math.min(e.limit,b1),o=s.encode(t).slice(0,_1),r=s.encode(n),F=A-3-o.length;if(!r.length||F<1)return{answer:null};let i=Math.min(Math.floor(A/2),M1),a=i<F?i:Math.floor(F/2),C=Array.from(n),D=new Map;for(let l of s1(s,o,r,{limit:A,shared:a})){let[c,f]=await e.run([l]);for(let{first:h,last:g,score:k}of x1(l,c.data,f.data)){let{start:b,end:S}=I1(l,h,g),M=C.slice(b,S).join(""),y=D.get(M.toLowerCase());y?y.score+=k:D.set(M.toLowerCase(),{score:k,start:b,end:S,answer:M})}}let[B]=[...D.values()].sort((l,c)=>c.score-l.score);return{answer:B??null}}function x1({pieces:e,second:t},n,s){let A=e.length-1-t,[o,r]=[n,s].map(i=>p([i[0],...i.slice(t,t+A)]).slice(1)),F=[];for(let i=0;i<A;i+=1)for(let a=i;a<Math.min(A,i+S1);a+=1)F.push({first:t+i,last:t+a,score:o[i]*r[a]});return u(F.map(i=>i.score),O1).map(i=>F[i])}function I1({pieces:e,second:t},n,s){let A=o=>e[o]?.word;for(;n>t&&A(n-1)===A(n);)n-=1;for(;A(s+1)===A(s);)s+=1;return{start:e[n].start,end:e[s].end}}async function o1(e,{prompt:t,choices:n}){if(n.length<2)return{choices:[]};let s=n.map(r=>n1(e.tokenizer,t,r,e.limit)),[{data:A}]=await e.run(s),o=p(A);return{choices:u(o).map(r=>({choice:n[r],score:o[r]}))}}async function r1(e,{text:t}){let[{data:n}]=await e.run([w(e.tokenizer,t,e.limit)]),{problem_type:s}=e.config,A=s==="regression"?Array.from(n):s==="multi_label_classification"||n.length===1?e1(n):p(n);return{labels:u(A).map(o=>({label:e.labels[o],score:A[o]}))}}var N1=4096,v=new Map;async function F1(e,{text:t,sentences:n}){let s=await i1(e,t),A=[];for(let o of n){let r=await i1(e,o);A.push(r.reduce((F,i,a)=>F+i*s[a],0))}return{nearest:u(A).map(o=>({sentence:n[o],score:A[o]}))}}async function i1(e,t){let n=v.get(t);if(!n){let{prompt:s,lowercase:A,max_length:o}=e.page.reading,r=A?(s+t).toLowerCase():s+t,F=Math.min(e.limit,o??1/0),[{data:i}]=await e.run([w(e.tokenizer,r,F)]),a=Math.hypot(...i)||1;n=i.map(C=>C/a),v.size>=N1&&v.clear(),v.set(t,n)}return n}var v1=[[" .","."],[" ?","?"],[" !","!"],[" ,",","],[" ' ","'"],[" n't","n't"],[" 'm","'m"],[" 's","'s"],[" 've","'ve"],[" 're","'re"]];function E1(e,t){return e.map((n,s)=>s?n.startsWith(t)?n.slice(t.length):` ${n}`:n).join("")}function a1(e){return v1.reduce((t,[n,s])=>t.replaceAll(n,s),e)}var T1=5;async function C1(e,{text:t}){let{tokenizer:n}=e,s=n.mask&&n.idOf(n.mask),A=w(n,t,e.limit);if(!A.ids.includes(s))return{masks:[]};let[{data:o,dims:r}]=await e.run([A]),F=r.at(-1),i=n.tokens;return{masks:A.ids.flatMap((C,D)=>{if(C!==s)return[];let B=p(o.subarray(D*F,(D+1)*F));return[u(B.slice(0,i.length),T1).map(l=>{let c=E1([i[l]],n.prefix);return{word:n.cleansUp?a1(c):c,score:B[l]}})]})}}async function D1(e,{text:t}){let n=w(e.tokenizer,t,e.limit),[{data:s,dims:A}]=await e.run([n]),o=A.at(-1),r=[];n.pieces.forEach((i,a)=>{if(!i)return;let C=p(s.slice(a*o,(a+1)*o)),D=r.at(-1);D?.word===i.word?(D.end=i.end,D.all.push(C)):r.push({word:i.word,start:i.start,end:i.end,all:[C]})});let F=[];for(let{start:i,end:a,all:C}of r){let D=C[0].map((f,h)=>c1(C.map(g=>g[h]))/C.length),[B]=u(D,1),l=e.labels[B],c=F.at(-1);c&&!l.startsWith("B-")&&T(l)===T(c.label)?(c.end=a,c.scores.push(D[B])):F.push({label:l,scores:[D[B]],start:i,end:a})}return{groups:F.filter(i=>T(i.label)!=="O").map(({label:i,scores:a,start:C,end:D})=>({label:T(i),score:c1(a)/a.length,start:C,end:D}))}}function T(e){return/^[BI]-/.test(e)?e.slice(2):e}function c1(e){return e.reduce((t,n)=>t+n,0)}var z1={base:F1,"masked-lm":C1,"multiple-choice":o1,"question-answering":A1,"sequence-classification":r1,"token-classification":D1},d;self.addEventListener("message",async({data:e})=>{try{if(e.load){let{page:s,wishes:A}=e.load;d=await N.load(s,A,o=>self.postMessage({progress:o})),self.postMessage({facts:d.facts});return}let t=performance.now();d.tokens=0,d.hasCut=!1;let n=[];for(let s of e.rows)n.push(await z1[d.page.task](d,s));self.postMessage({id:e.id,results:n,tokens:d.tokens,milliseconds:performance.now()-t,limit:d.hasCut?d.limit:null})}catch(t){self.postMessage({id:e.id,error:String(t instanceof Error?t.message:t)})}});
