"""The row `flask-json`: what a small Flask endpoint costs. In a file of its own, as is that of FastAPI."""

from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/json")
def answer():
    return jsonify({"id": 42, "name": "Portway", "price": 9.99, "tags": ["fast", "clear"], "stock": True})
