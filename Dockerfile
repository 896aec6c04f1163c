FROM python:3.12-slim

# Caches of libraries go where a container with a read-only root can write. Two arenas: else glibc
# holds free memory for the threads of every visitor.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp/matplotlib MALLOC_ARENA_MAX=2

WORKDIR /app
# Without TensorFlow: ONNX Runtime runs the models.
COPY requirements-serve.txt ./
RUN pip install --no-cache-dir -r requirements-serve.txt && useradd --create-home --uid 1000 app

COPY webapp.py ./
COPY .streamlit .streamlit
COPY model model
COPY xray_classifier xray_classifier

USER 1000
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import http.client, os; base = os.environ.get('STREAMLIT_SERVER_BASE_URL_PATH', '').strip('/'); server = http.client.HTTPConnection('127.0.0.1', 8501, timeout=4); server.request('GET', f'/{base}/_stcore/health'.replace('//', '/')); raise SystemExit(server.getresponse().status != 200)"]
CMD ["streamlit", "run", "webapp.py", "--server.address=0.0.0.0", "--server.port=8501", "--server.headless=true", "--server.fileWatcherType=none"]
