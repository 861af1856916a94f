"""What Datadog's two clients for Python post of metrics: datadogpy and datadog-api-client."""

import datadog
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.v1.api.metrics_api import MetricsApi as MetricsV1
from datadog_api_client.v1.model.metric_content_encoding import MetricContentEncoding as CodingV1
from datadog_api_client.v1.model.metrics_payload import MetricsPayload
from datadog_api_client.v1.model.point import Point
from datadog_api_client.v1.model.series import Series
from datadog_api_client.v2.api.metrics_api import MetricsApi as MetricsV2
from datadog_api_client.v2.model.metric_content_encoding import MetricContentEncoding as CodingV2
from datadog_api_client.v2.model.metric_intake_type import MetricIntakeType
from datadog_api_client.v2.model.metric_payload import MetricPayload
from datadog_api_client.v2.model.metric_point import MetricPoint
from datadog_api_client.v2.model.metric_resource import MetricResource
from datadog_api_client.v2.model.metric_series import MetricSeries

SECOND = 1_700_000_000
VALUES = [0.1, -0.0, 2.0**53, 5e-324, 1.7976931348623157e308, -12345.678]
CODINGS = {"V1": [None, "deflate", "gzip"], "V2": [None, "deflate", "gzip", "zstd1"]}


def datadogpy(url, key, compress):
    """A gauge, a count, a rate, and one without a type; true if the client took our answer."""
    datadog.initialize(api_key=key, api_host=url, host_name="host-1", mute=False)
    name = "interop.datadogpy.zlib" if compress else "interop.datadogpy"
    points = [(SECOND + n, value) for n, value in enumerate(VALUES)]
    metrics = [
        {"metric": f"{name}.gauge", "type": "gauge", "points": points, "tags": ["env:interop", "plain", "url:http://a:1/b", "käse:🧀"]},
        {"metric": f"{name}.count", "metric_type": "count", "points": [(SECOND, 7)], "interval": 10, "host": "host-2"},
        {"metric": f"{name}.rate", "type": "rate", "points": [(SECOND, 2.5)], "interval": 10, "device": "sda"},
        {"metric": f"{name}.untyped", "points": [(SECOND + 0.5, 1.5)], "tags": ["twice:1", "twice:2"]},
    ]
    return datadog.api.Metric.send(metrics=metrics, compress_payload=compress)


def distribution(url, key):
    datadog.initialize(api_key=key, api_host=url, host_name="host-1", mute=False)
    return datadog.api.Distribution.send(metric="interop.distribution", points=[(SECOND, [1.0, 2.5, 2.5])], tags=["env:interop"])


def configuration(url, key):
    made = Configuration(host=url)
    made.api_key["apiKeyAuth"] = key
    made.enable_retry = False
    return made


def client_v1(url, key, coding):
    name = f"interop.client.v1.{coding or 'plain'}"
    tags = ["env:interop", "plain", "url:http://a:1/b"]
    series = [
        Series(metric=f"{name}.gauge", type="gauge", host="host-1", tags=tags,
               points=[Point([float(SECOND + n), value]) for n, value in enumerate(VALUES)]),
        Series(metric=f"{name}.count", type="count", interval=10, points=[Point([float(SECOND), 7.0])]),
        Series(metric=f"{name}.rate", type="rate", interval=10, points=[Point([float(SECOND), 2.5])]),
    ]
    options = {"content_encoding": CodingV1(coding)} if coding else {}
    with ApiClient(configuration(url, key)) as client:
        return MetricsV1(client).submit_metrics(body=MetricsPayload(series=series), **options)


def client_v2(url, key, coding):
    name = f"interop.client.v2.{coding or 'plain'}"
    tags = ["env:interop", "plain", "url:http://a:1/b"]
    resources = [MetricResource(type="host", name="host-1"), MetricResource(type="device", name="sda")]
    points = [MetricPoint(timestamp=SECOND + n, value=value) for n, value in enumerate(VALUES)]
    one = lambda value: [MetricPoint(timestamp=SECOND, value=value)]
    series = [
        MetricSeries(metric=f"{name}.gauge", type=MetricIntakeType.GAUGE, resources=resources, tags=tags, unit="byte", points=points),
        MetricSeries(metric=f"{name}.count", type=MetricIntakeType.COUNT, interval=10, points=one(7.0)),
        MetricSeries(metric=f"{name}.rate", type=MetricIntakeType.RATE, interval=10, points=one(2.5)),
        MetricSeries(metric=f"{name}.untyped", type=MetricIntakeType.UNSPECIFIED, points=one(1.5)),
    ]
    options = {"content_encoding": CodingV2(coding)} if coding else {}
    with ApiClient(configuration(url, key)) as client:
        return MetricsV2(client).submit_metrics(body=MetricPayload(series=series), **options)


def send(url, key):
    """Answers what each was told, by its name."""
    told = {f"datadogpy {compress}": datadogpy(url, key, compress) for compress in (False, True)}
    for coding in CODINGS["V1"]:
        told[f"v1 {coding}"] = client_v1(url, key, coding).to_dict()
    for coding in CODINGS["V2"]:
        told[f"v2 {coding}"] = client_v2(url, key, coding).to_dict()
    return told
