# The gateway in a container: no compiler, no root, state and site file mounted from outside.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY local_controller local_controller
COPY optimizer optimizer
COPY backtest backtest
COPY site_simulator site_simulator
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
COPY --from=build /venv /venv
USER 1000:1000
EXPOSE 9310 8080
ENTRYPOINT ["/venv/bin/local-controller"]
CMD ["run", "/etc/local-controller/site.yaml", "--log-format", "json"]
