# `facehall serve` on the CPU, from the wheel. In the repository:
#
#   pip wheel --no-deps --wheel-dir dist . && docker build -t facehall .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8000:8000 facehall
#
# torch's default wheels are built for GPUs and ten times as large as those for CPUs. Name the index that has the latter:
#
#   docker build -t facehall --build-arg PIP_OPTIONS="--extra-index-url URL" .
FROM python:3.12-slim

# Libraries of OpenCV; a user without rights.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home facehall

ARG PIP_OPTIONS=""
COPY dist/facehall-*.whl constraints.txt /build/
RUN pip install --no-cache-dir $PIP_OPTIONS -c /build/constraints.txt "$(ls /build/facehall-*.whl)[openvino]"

USER 10001
ENV MPLCONFIGDIR=/tmp PYTHONDONTWRITEBYTECODE=1
# With what finds and compares faces in the image, the container needs no network and writes nothing.
RUN facehall assets fetch centerface face_mesh dlib_resnet

EXPOSE 8000
# All interfaces of the container; -p decides who reaches them.
CMD ["facehall", "serve", "--host", "0.0.0.0", "--port", "8000"]
