//! One TLS port: negotiation, handshakes, ends, client certificates, reloads, idle connections.

mod certificates;
mod clients;
mod ends;
mod handshake;
mod negotiation;

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::server::{KEY, Reply, Server, add_key, command, read_reply, request};

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

pub const BODY: &[u8] = br#"[{"message":"over TLS"}]"#;

pub struct World {
    // Ends before its folder goes.
    pub server: Server,
    folder: tempfile::TempDir,
}

impl World {
    /// Listens in the clear too; `arguments` are further flags.
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self::start_in(folder, arguments)
    }

    pub fn start_in(folder: tempfile::TempDir, arguments: &[&str]) -> Self {
        let data = folder.path().join("data");
        add_key(&data, "test", KEY, "acme");
        let mut command = command(&data);
        command
            .args(["serve", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"])
            .args(["--admin", "127.0.0.1:0", "--shards", "1", "--data-dir"])
            .arg(&data)
            .args(arguments)
            .env("INRUSH_STORE_MAX_DELAY", "500ms")
            .env("INRUSH_JOURNAL_SEGMENT_SIZE", "66MiB")
            .env("INRUSH_LOG_LEVEL", "error");
        let server = Server::spawn(command, &data);
        Self { server, folder }
    }

    pub fn into_parts(self) -> (Server, tempfile::TempDir) {
        (self.server, self.folder)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn development(&self) -> PathBuf {
        self.server.data.join("tls/development.crt")
    }

    pub fn tcp(&self) -> TcpStream {
        let tcp = TcpStream::connect(&self.server.https).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp
    }

    pub fn connect(&self, config: &Arc<ClientConfig>) -> Stream {
        StreamOwned::new(session(config), self.tcp())
    }

    /// A client that trusts the development certificate.
    pub fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        Arc::new(client(&self.development(), &rustls::version::TLS13, protocols))
    }
}

pub fn session(config: &Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost").unwrap()).unwrap()
}

pub fn trusting(authority: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    roots
}

pub fn client(
    authority: &Path,
    version: &'static SupportedProtocolVersion,
    protocols: &[&str],
) -> ClientConfig {
    let mut config = ClientConfig::builder_with_protocol_versions(&[version])
        .with_root_certificates(trusting(authority))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.resumption = Resumption::in_memory_sessions(8);
    config
}

pub fn post(stream: &mut Stream) -> Option<Reply> {
    let json = [("Content-Type", "application/json")];
    stream.write_all(&request("POST", "/json/logs", &json, BODY)).ok()?;
    read_reply(stream)
}
