"""The row `json`: what a small FastAPI endpoint costs. In a file of its own, so that the bare
applications of apps.py do not carry FastAPI's objects through every garbage collection."""

from fastapi import FastAPI

app = FastAPI(openapi_url=None)


@app.get("/json")
async def answer():
    return {"id": 42, "name": "Portway", "price": 9.99, "tags": ["fast", "clear"], "stock": True}
