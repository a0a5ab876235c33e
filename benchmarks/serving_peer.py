"""What people write first: a transformers pipeline behind FastAPI (`uvicorn serving_peer:app`)."""

import os

import torch
from fastapi import Body, FastAPI
from transformers import pipeline

torch.set_num_threads(len(os.sched_getaffinity(0)))
classify = pipeline("text-classification", model=os.environ["DISTIL_PEER_MODEL"], device="cpu")
app = FastAPI()


@app.post("/predict")
def predict(inputs: str = Body(embed=True)):
    return classify(inputs, truncation=True, top_k=None)


@app.get("/health")
def health():
    return {}
