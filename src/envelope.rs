//! The small types that travel with a body: route, tenant, codings, arrival time, request fields.
//!
//! Place: made by `ingest` when a head is accepted, written in front of the body by `journal`,
//! read again by the followers. Numbers in this file are on disk: they never change meaning.
//!
//! ```text
//! envelope on disk:  route u16 · codings 2 × u8 · tenant_length u16 · zero u16
//!                    arrival_nanos u64 · fields_length u32 · tenant · { id u8 · length u32 · bytes } …
//! ```

use crate::limits;

/// What kind of telemetry a route carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    Logs,
    Metrics,
    Traces,
}

impl Signal {
    pub const ALL: [Self; 3] = [Self::Logs, Self::Metrics, Self::Traces];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Traces => "traces",
        }
    }
}

macro_rules! routes {
    ($($variant:ident = $number:literal, $signal:ident, $protocol:literal, $path:literal;)*) => {
        /// An endpoint that takes telemetry. The number is written to the journal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Route { $($variant = $number,)* }

        impl Route {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// `None` for a number that this version does not know.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            pub const fn signal(self) -> Signal {
                match self { $(Self::$variant => Signal::$signal,)* }
            }

            /// The value of the `Protocol` column.
            pub const fn protocol(self) -> &'static str {
                match self { $(Self::$variant => $protocol,)* }
            }

            /// The path of the endpoint, also its label in metrics.
            pub const fn path(self) -> &'static str {
                match self { $(Self::$variant => $path,)* }
            }
        }
    };
}

routes! {
    RemoteWrite = 1, Metrics, "remote_write", "/api/v1/write";
    ImportPrometheus = 2, Metrics, "prometheus", "/api/v1/import/prometheus";
    OtlpLogs = 3, Logs, "otlp", "/v1/logs";
    OtlpTraces = 4, Traces, "otlp", "/v1/traces";
    OtlpMetrics = 5, Metrics, "otlp", "/v1/metrics";
    OtlpGrpcLogs = 6, Logs, "otlp", "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    OtlpGrpcTraces = 7, Traces, "otlp", "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    OtlpGrpcMetrics = 8, Metrics, "otlp", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    DatadogSeriesV1 = 9, Metrics, "datadog", "/datadog/api/v1/series";
    DatadogSeriesV2 = 10, Metrics, "datadog", "/datadog/api/v2/series";
    DatadogTracesV03 = 11, Traces, "datadog", "/v0.3/traces";
    DatadogTracesV04 = 12, Traces, "datadog", "/v0.4/traces";
    DatadogTracesV05 = 13, Traces, "datadog", "/v0.5/traces";
    DatadogTracesV07 = 14, Traces, "datadog", "/v0.7/traces";
    Firehose = 15, Logs, "firehose", "/firehose/logs";
    JsonLogs = 16, Logs, "json", "/json/logs";
    DatadogSketches = 17, Metrics, "datadog", "/datadog/api/beta/sketches";
    DatadogAgentTraces = 18, Traces, "datadog", "/api/v0.2/traces";
}

impl Route {
    /// Whether a body is cut at line ends into entries, and so has no bound; the others are one entry.
    pub const fn is_cut(self) -> bool {
        matches!(self, Self::ImportPrometheus)
    }

    /// What tracers post themselves, without an Agent between: they drop on any refusal.
    pub const fn is_of_tracers(self) -> bool {
        matches!(
            self,
            Self::DatadogTracesV03
                | Self::DatadogTracesV04
                | Self::DatadogTracesV05
                | Self::DatadogTracesV07
        )
    }

    pub const fn is_datadog(self) -> bool {
        self.is_of_tracers()
            || matches!(
                self,
                Self::DatadogSeriesV1
                    | Self::DatadogSeriesV2
                    | Self::DatadogSketches
                    | Self::DatadogAgentTraces
            )
    }

    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// One content coding (RFC 9110, section 8.4.1) as the route understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Coding {
    /// No coding; also fills unused places.
    Identity = 0,
    Gzip = 1,
    /// zlib wrapped; raw deflate is tolerated.
    Deflate = 2,
    Zstd = 3,
    /// Snappy block format.
    Snappy = 4,
    /// LZ4 frames.
    Lz4 = 5,
}

impl Coding {
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Identity),
            1 => Some(Self::Gzip),
            2 => Some(Self::Deflate),
            3 => Some(Self::Zstd),
            4 => Some(Self::Snappy),
            5 => Some(Self::Lz4),
            _ => None,
        }
    }

    /// The name on the wire, as `Accept-Encoding` lists it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
        }
    }
}

/// At most two codings, in the order in which the sender applied them; decoding goes from the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codings(pub [Coding; 2]);

impl Codings {
    pub const IDENTITY: Self = Self([Coding::Identity; 2]);

    pub const fn one(coding: Coding) -> Self {
        Self([coding, Coding::Identity])
    }

    pub fn is_identity(self) -> bool {
        self == Self::IDENTITY
    }
}

/// Which part of the request a field carries. The number is written to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FieldId {
    /// `Content-Type` as sent, with its parameters.
    ContentType = 1,
    /// The raw query string without credentials; of remote write its `extra_label` alone.
    Query = 2,
    /// `x-groundcover-env-name`
    GroundcoverEnvName = 3,
    /// `x-groundcover-service-name`
    GroundcoverServiceName = 4,
    /// `x-groundcover-env-type`
    GroundcoverEnvType = 5,
    /// `x-groundcover-cluster`
    GroundcoverCluster = 6,
    /// `x-groundcover-source`
    GroundcoverSource = 7,
    /// What stands in the path behind the route's own, raw: the Pushgateway's labels.
    PathLabels = 8,
    /// Exposition: the metadata lines of the family that was open where the body was cut.
    OpenFamily = 9,
    /// `Datadog-Meta-Lang`: the tracer's language.
    DatadogLanguage = 10,
    /// `Datadog-Meta-Lang-Version`
    DatadogLanguageVersion = 11,
    /// `Datadog-Meta-Lang-Interpreter`
    DatadogInterpreter = 12,
    /// `Datadog-Meta-Tracer-Version`
    DatadogTracerVersion = 13,
    /// `Datadog-Container-ID`
    DatadogContainerId = 14,
    /// `Datadog-Entity-ID`
    DatadogEntityId = 15,
    /// `Datadog-External-Env`
    DatadogExternalEnv = 16,
    /// `X-Amz-Firehose-Request-Id`
    FirehoseRequestId = 17,
    /// `X-Amz-Firehose-Source-Arn`
    FirehoseSourceArn = 18,
    /// `X-Amz-Firehose-Common-Attributes`
    FirehoseCommonAttributes = 19,
}

impl FieldId {
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::ContentType),
            2 => Some(Self::Query),
            3 => Some(Self::GroundcoverEnvName),
            4 => Some(Self::GroundcoverServiceName),
            5 => Some(Self::GroundcoverEnvType),
            6 => Some(Self::GroundcoverCluster),
            7 => Some(Self::GroundcoverSource),
            8 => Some(Self::PathLabels),
            9 => Some(Self::OpenFamily),
            10 => Some(Self::DatadogLanguage),
            11 => Some(Self::DatadogLanguageVersion),
            12 => Some(Self::DatadogInterpreter),
            13 => Some(Self::DatadogTracerVersion),
            14 => Some(Self::DatadogContainerId),
            15 => Some(Self::DatadogEntityId),
            16 => Some(Self::DatadogExternalEnv),
            17 => Some(Self::FirehoseRequestId),
            18 => Some(Self::FirehoseSourceArn),
            19 => Some(Self::FirehoseCommonAttributes),
            _ => None,
        }
    }

    /// Request headers that a route keeps with the body: lowercase name and id.
    pub const fn kept_headers(route: Route) -> &'static [(&'static str, Self)] {
        match route {
            Route::JsonLogs => &[
                ("content-type", Self::ContentType),
                ("x-groundcover-env-name", Self::GroundcoverEnvName),
                ("x-groundcover-service-name", Self::GroundcoverServiceName),
                ("x-groundcover-env-type", Self::GroundcoverEnvType),
                ("x-groundcover-cluster", Self::GroundcoverCluster),
                ("x-groundcover-source", Self::GroundcoverSource),
            ],
            Route::Firehose => &[
                ("x-amz-firehose-request-id", Self::FirehoseRequestId),
                ("x-amz-firehose-source-arn", Self::FirehoseSourceArn),
                ("x-amz-firehose-common-attributes", Self::FirehoseCommonAttributes),
            ],
            Route::DatadogTracesV03
            | Route::DatadogTracesV04
            | Route::DatadogTracesV05
            | Route::DatadogTracesV07 => &[
                ("content-type", Self::ContentType),
                ("datadog-meta-lang", Self::DatadogLanguage),
                ("datadog-meta-lang-version", Self::DatadogLanguageVersion),
                ("datadog-meta-lang-interpreter", Self::DatadogInterpreter),
                ("datadog-meta-tracer-version", Self::DatadogTracerVersion),
                ("datadog-container-id", Self::DatadogContainerId),
                ("datadog-entity-id", Self::DatadogEntityId),
                ("datadog-external-env", Self::DatadogExternalEnv),
            ],
            _ => &[("content-type", Self::ContentType)],
        }
    }
}

/// The encoded request fields: `{ id u8 · length u32 · bytes } …`. Unknown ids are passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestFields<'a> {
    bytes: &'a [u8],
}

impl<'a> RequestFields<'a> {
    pub const EMPTY: Self = Self { bytes: &[] };

    /// Takes bytes written by [`RequestFields::push`]; a cut field ends the walk.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Appends one field to `into`. Answers false, and appends nothing, where the fields of one
    /// request would pass [`limits::REQUEST_FIELDS_SIZE_MAX`].
    #[must_use]
    pub fn push(into: &mut Vec<u8>, id: FieldId, value: &[u8]) -> bool {
        let Ok(length) = u32::try_from(value.len()) else {
            return false;
        };
        if into.len() + 5 + value.len() > limits::REQUEST_FIELDS_SIZE_MAX {
            return false;
        }
        into.push(id as u8);
        into.extend_from_slice(&length.to_le_bytes());
        into.extend_from_slice(value);
        true
    }

    pub fn iter(self) -> impl Iterator<Item = (FieldId, &'a [u8])> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            loop {
                let (head, after) = rest.split_at_checked(5)?;
                let length = u32::from_le_bytes(head.get(1..5)?.try_into().ok()?);
                let (value, after) = after.split_at_checked(limits::size(u64::from(length)))?;
                rest = after;
                if let Some(id) = head.first().and_then(|&number| FieldId::from_number(number)) {
                    return Some((id, value));
                }
            }
        })
    }

    pub fn find(self, wanted: FieldId) -> Option<&'a [u8]> {
        self.iter().find(|(id, _)| *id == wanted).map(|(_, value)| value)
    }
}

/// All that is known about a body besides its bytes. Every mapping to rows is a function of this
/// and of the decoded payload alone.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    pub route: Route,
    pub codings: Codings,
    /// The tenant by name, never by index: names outlive key tables.
    pub tenant: &'a str,
    /// When the body was complete, nanoseconds since the Unix epoch. Also "now" for decoders.
    pub arrival_nanos: u64,
    pub fields: RequestFields<'a>,
}
