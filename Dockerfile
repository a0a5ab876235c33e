# A server of models, of any name: build once, then
#
#     docker run -p 127.0.0.1:8000:8000 distil                                   # the bundled model
#     docker run -p 8000:8000 -e DISTIL_API_KEY=... -v ./my-model:/model:ro distil /model
#
# Without DISTIL_API_KEY everybody may ask whom the published port is open to.
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
RUN python -m venv /opt/distil \
    && /opt/distil/bin/pip install --no-cache-dir -c constraints.txt ".[onnxruntime,serve]"

FROM python:3.11-slim
COPY --from=build /opt/distil /opt/distil
RUN useradd --system --create-home --uid 10001 distil
USER 10001
WORKDIR /home/distil
ENV PATH=/opt/distil/bin:$PATH
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
ENTRYPOINT ["distil", "serve", "--host", "0.0.0.0", "--public", "--engine", "onnxruntime"]
CMD ["sst2-small"]
