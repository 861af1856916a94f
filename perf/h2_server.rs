//! What a plain server of OTLP/gRPC is made of: tokio, `h2`, `prost`. It decodes each call into its tree
//! and answers OK. Nothing is kept, so it stands beside our acknowledgement, which keeps everything.
//!
//! `h2_server --http ADDR`. One thread, `h2`'s defaults but for windows of 8 MiB.

#![allow(clippy::unwrap_used, reason = "a tool may panic")]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "../proto/generated/mod.rs"]
#[allow(dead_code, clippy::all, reason = "used in part, and generated")]
mod messages;

use bytes::{Bytes, BytesMut};
use messages::opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    let mut message = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        message.extend_from_slice(&piece);
    }
    let request = ExportLogsServiceRequest::decode(message.get(5..).unwrap_or_default());
    std::hint::black_box(&request);
    let head = http::Response::builder().header("content-type", "application/grpc");
    let mut sending = respond.send_response(head.body(()).unwrap(), false)?;
    sending.send_data(Bytes::from_static(&[0; 5]), false)?;
    let status = if request.is_ok() { "0" } else { "3" };
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static(status));
    sending.send_trailers(trailers)
}

async fn serve(stream: tokio::net::TcpStream) -> Result<(), h2::Error> {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(8 << 20).initial_connection_window_size(8 << 20);
    let mut connection = builder.handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        tokio::spawn(answer(request, respond));
    }
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let address = arguments.iter().skip_while(|given| *given != "--http").nth(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address.expect("--http ADDR")).await.unwrap();
        println!("listening   http://{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve(stream));
        }
    });
}
