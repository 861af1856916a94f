"""Datadog's clients for Python: datadogpy and datadog-api-client, both versions of the API, each coding.
Their points are read back from Parquet bit for bit."""

import struct

from datadog.api.exceptions import ApiError
from datadog_api_client.exceptions import ApiException

import datadog_points
from support import KEY, TENANT, WORK, Server, equal, finish, scenario

SECOND = 10**9
START = datadog_points.SECOND * SECOND
GAUGE, DELTA = ("gauge", "unspecified", False), ("sum", "delta", False)
TAGS = {"plain": "no_label_value", "url": "http://a:1/b"}
ENV = {"deployment.environment.name": "interop"}


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def points(values, interval=None):
    """Time, bits, and where a delta began."""
    times = [START + n * SECOND for n in range(len(values))]
    return [(time, bits(value), time - interval * SECOND if interval else None) for time, value in zip(times, values)]


def expected_datadogpy(name):
    values, host = datadog_points.VALUES, {"host.name": "host-1"}
    return {
        f"{name}.gauge": (GAUGE, "", TAGS | {"käse": "🧀"}, ENV | host, points(values)),
        f"{name}.count": (DELTA, "", {}, {"host.name": "host-2"}, points([7.0], 10)),
        f"{name}.rate": (DELTA, "", {"device": "sda"}, host, points([25.0], 10)),
        f"{name}.untyped": (GAUGE, "", {"twice": '["1","2"]'}, host, [(START + SECOND // 2, bits(1.5), None)]),
    }


def expected_client(name, is_second):
    """The second version has a device, a unit, and a series that names no type."""
    unit, device = ("byte", {"device": "sda"}) if is_second else ("", {})
    expected = {
        f"{name}.gauge": (GAUGE, unit, TAGS | device, ENV | {"host.name": "host-1"}, points(datadog_points.VALUES)),
        f"{name}.count": (DELTA, "", {}, {}, points([7.0], 10)),
        f"{name}.rate": (DELTA, "", {}, {}, points([25.0], 10)),
    }
    if is_second:
        expected[f"{name}.untyped"] = (GAUGE, "", {}, {}, points([1.5]))
    return expected


def check(server, expected):
    series = {}
    for row in server.rows("metric_series"):
        series.setdefault(row["MetricName"], {})[row["SeriesId"]] = row
    samples = {}
    for row in server.rows("metric_samples"):
        samples.setdefault(row["SeriesId"], []).append(row)
    for name, (kind, unit, labels, resource, values) in expected.items():
        assert name in series, f"no series {name}: {sorted(series)}"
        (identifier, row), = series[name].items()
        equal((row["MetricType"], row["Temporality"], row["IsMonotonic"]), kind, f"type of {name}")
        equal((row["Unit"], row["Tenant"], row["Protocol"]), (unit, TENANT, "datadog"), f"unit, tenant and protocol of {name}")
        equal(row["Labels"], labels, f"labels of {name}")
        equal(row["ResourceAttributes"], resource, f"resource of {name}")
        found = sorted((row["Timestamp"], row["ValueBits"], row["StartTimestamp"] or None) for row in samples[identifier])
        equal(found, values, f"samples of {name}")
    return sum(len(values) for *_, values in expected.values())


def main():
    server = Server(WORK)
    base = f"{server.url}/datadog"
    expected = {}
    with scenario("Datadog metrics: what the clients were told"):
        for name, told in datadog_points.send(base, KEY).items():
            equal(told, {"errors": []} if name.startswith("v2") else {"status": "ok"}, f"answer to {name}")
    with scenario("Datadog metrics: a wrong key is told, and a distribution that it is not taken"):
        datadogpy = lambda key: lambda: datadog_points.datadogpy(base, key, False)
        client = lambda coding: lambda: datadog_points.client_v2(base, "wrong", coding)
        for what, call, kinds in [
            ("datadogpy with a wrong key", datadogpy("wrong"), ApiError),
            ("a client with a wrong key", client(None), ApiException),
            ("a client with a wrong key and zstd1", client("zstd1"), ApiException),
            ("a distribution", lambda: datadog_points.distribution(base, KEY), ApiError),
        ]:
            try:
                told = call()
            except kinds as error:
                assert str(error), what
            else:
                raise AssertionError(f"{what} was taken: {told}")
    server.assert_healthy()
    server.stop()
    for name in ("datadogpy", "datadogpy.zlib"):
        expected[name] = expected_datadogpy(f"interop.{name}")
    for version, codings in datadog_points.CODINGS.items():
        for coding in codings:
            name = f"client.{version.lower()}.{coding or 'plain'}"
            expected[name] = expected_client(f"interop.{name}", version == "V2")
    for name, of_name in expected.items():
        with scenario(f"Datadog metrics, {name}: rows") as remarks:
            remarks.append(f"{check(server, of_name)} samples")
    with scenario("Datadog metrics: no series besides"):
        names = {row["MetricName"] for row in server.rows("metric_series")}
        equal(names, {name for of_name in expected.values() for name in of_name}, "names")
    finish()


main()
