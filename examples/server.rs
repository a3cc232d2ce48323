//! A thousand clients on loopback, each with a stream of its own, and one thread for the model: alone, and pooled.
//!
//! ```sh
//! cargo run --release --example server                # 1000 clients, 20 samples each
//! cargo run --release --example server -- 300 100     # 300 clients, 100 samples each
//! ```
//!
//! The model's thread looks at all connections in turn, and takes what has arrived. *Alone*, each client's own `Stream`
//! makes a step at once; *pooled*, the samples go to a `StreamPool`, and one step takes all of them. The answers have
//! the same bits. There is no framework: sockets that don't wait, and frames of a fixed size.
//!
//! Each connection takes two files of the process: where the system allows fewer, there are fewer clients.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use recurrent::{Dense, Layer, Lstm, SeedSource, Stacked, Stream, StreamId, StreamPool};

const FEATURES: usize = 16;
const UNITS: usize = 64;
const OUTPUTS: usize = 4;
/// Threads that play the clients, many each.
const PLAYERS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let clients = numbers.next().transpose()?.unwrap_or(1000);
    let samples = numbers.next().transpose()?.unwrap_or(20);
    let mut seeds = SeedSource::keras(7);
    let model = Stacked::builder()
        .layer(Lstm::<f32>::builder(FEATURES, UNITS).seeds(&mut seeds).return_sequences(true).build()?)
        .layer(Lstm::builder(UNITS, UNITS).seeds(&mut seeds).build()?)
        .layer(Dense::builder(UNITS, OUTPUTS).seeds(&mut seeds).build()?)
        .build()?;

    println!("        streams   steps/s   rows/step   latency in ms: 50 %   90 %   99 %   longest");
    let alone = play(clients, samples, |connections| alone(&model, connections))?;
    println!("alone  {alone}");
    let pooled = play(clients, samples, |connections| pooled(&model, connections))?;
    println!("pooled {pooled}");
    if alone.clients.len() < clients {
        println!("(the system allows no more connections: see ulimit -n)");
    }
    let same = alone.clients.iter().zip(&pooled.clients).all(|(alone, pooled)| alone.answers == pooled.answers);
    assert!(same, "the answers have the same bits");
    Ok(())
}

/// The server, each stream by itself: the rows that its steps had.
fn alone(model: &dyn Layer<f32>, connections: &mut [Connection]) -> Result<Vec<usize>, Box<dyn Error>> {
    let mut streams = Vec::new();
    for _ in &*connections {
        streams.push(Stream::new(model, 1)?);
    }
    let mut steps = Vec::new();
    let mut open = connections.len();
    while open > 0 {
        let before = steps.len();
        for (connection, stream) in connections.iter_mut().zip(&mut streams) {
            match connection.receive()? {
                Arrived::Frame(sample) => {
                    connection.send(stream.step_one(&sample)?)?;
                    steps.push(1);
                }
                Arrived::End => open -= 1,
                Arrived::Nothing => {}
            }
        }
        if steps.len() == before {
            thread::yield_now();
        }
    }
    Ok(steps)
}

/// The server with a pool.
fn pooled(model: &dyn Layer<f32>, connections: &mut [Connection]) -> Result<Vec<usize>, Box<dyn Error>> {
    let mut pool = StreamPool::with_capacity(model, connections.len())?;
    let mut ids: Vec<Option<StreamId>> = Vec::new();
    for _ in &*connections {
        ids.push(Some(pool.insert()?));
    }
    let mut steps = Vec::new();
    let mut arrived: Vec<(usize, StreamId)> = Vec::new();
    while !pool.is_empty() {
        arrived.clear();
        for (client, connection) in connections.iter_mut().enumerate() {
            let Some(id) = ids[client] else { continue };
            match connection.receive()? {
                Arrived::Frame(sample) => {
                    pool.push(id, &sample)?;
                    arrived.push((client, id));
                }
                Arrived::End => {
                    ids[client] = None;
                    pool.remove(id)?;
                }
                Arrived::Nothing => {}
            }
        }
        if arrived.is_empty() {
            thread::yield_now();
            continue;
        }
        steps.push(pool.step());
        for &(client, id) in &arrived {
            connections[client].send(pool.output(id)?)?;
        }
    }
    Ok(steps)
}

/// One end of a connection, whose frames are some numbers each.
struct Connection {
    socket: TcpStream,
    /// What has come of the next frame.
    bytes: Vec<u8>,
    filled: usize,
    open: bool,
}

enum Arrived {
    Frame(Vec<f32>),
    Nothing,
    End,
}

impl Connection {
    fn new(socket: TcpStream, numbers: usize) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Connection { socket, bytes: vec![0; 4 * numbers], filled: 0, open: true })
    }

    /// What has arrived; the end once.
    fn receive(&mut self) -> io::Result<Arrived> {
        if !self.open {
            return Ok(Arrived::Nothing);
        }
        match self.socket.read(&mut self.bytes[self.filled..]) {
            Ok(0) => {
                self.open = false;
                Ok(Arrived::End)
            }
            Ok(count) => {
                self.filled += count;
                if self.filled < self.bytes.len() {
                    return Ok(Arrived::Nothing);
                }
                self.filled = 0;
                let numbers = self.bytes.as_chunks::<4>().0;
                Ok(Arrived::Frame(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok(Arrived::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// A frame is small, and the last one has been answered: there is room for it.
    fn send(&mut self, numbers: &[f32]) -> io::Result<()> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.socket.write_all(&bytes)
    }
}

/// A client: it sends a sample, waits for the answer, and sends the next one.
struct Client {
    connection: Connection,
    number: usize,
    sent: Instant,
    answers: Vec<f32>,
    latencies: Vec<Duration>,
}

impl Client {
    fn send(&mut self) -> io::Result<()> {
        let time = self.latencies.len() as f32;
        let sample: Vec<f32> = (0..FEATURES).map(|i| (time + (self.number + i) as f32 / 10.0).sin()).collect();
        self.sent = Instant::now();
        self.connection.send(&sample)
    }
}

/// What a run has seen.
struct Report {
    clients: Vec<Client>,
    rows: Vec<usize>,
    time: Duration,
}

/// Connects the clients, and plays them against a server.
fn play(
    clients: usize,
    samples: usize,
    server: impl FnOnce(&mut [Connection]) -> Result<Vec<usize>, Box<dyn Error>>,
) -> Result<Report, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..clients {
        // Fewer than wanted, where the system says so.
        let Ok(socket) = TcpStream::connect(listener.local_addr()?) else { break };
        let Ok((accepted, _)) = listener.accept() else { break };
        let connection = Connection::new(socket, OUTPUTS)?;
        let (answers, latencies) = (Vec::new(), Vec::new());
        ours.push(Client { connection, number, sent: Instant::now(), answers, latencies });
        theirs.push(Connection::new(accepted, FEATURES)?);
    }
    let begin = Instant::now();
    let share = ours.len().div_ceil(PLAYERS).max(1);
    let rows = thread::scope(|scope| {
        let players: Vec<_> =
            ours.chunks_mut(share).map(|clients| scope.spawn(move || play_clients(clients, samples))).collect();
        let rows = server(&mut theirs);
        // A server that has given up hangs up.
        drop(theirs);
        let played: Vec<_> = players.into_iter().map(|player| player.join()).collect();
        let rows = rows?;
        for player in played {
            player.map_err(|_| "a player has panicked")??;
        }
        Ok::<_, Box<dyn Error>>(rows)
    })?;
    Ok(Report { clients: ours, rows, time: begin.elapsed() })
}

/// Some clients, until each has had all its answers.
fn play_clients(clients: &mut [Client], samples: usize) -> io::Result<()> {
    let mut open = clients.len();
    for client in &mut *clients {
        client.send()?;
    }
    while open > 0 {
        let mut nothing = true;
        for client in &mut *clients {
            match client.connection.receive()? {
                Arrived::Frame(answer) => {
                    nothing = false;
                    client.latencies.push(client.sent.elapsed());
                    client.answers.extend(answer);
                    if client.latencies.len() < samples {
                        client.send()?;
                    } else {
                        client.connection.socket.shutdown(std::net::Shutdown::Both)?;
                        client.connection.open = false;
                        open -= 1;
                    }
                }
                Arrived::End => return Err(io::Error::other("the server hung up")),
                Arrived::Nothing => {}
            }
        }
        if nothing {
            thread::yield_now();
        }
    }
    Ok(())
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut latencies: Vec<_> = self.clients.iter().flat_map(|client| &client.latencies).collect();
        latencies.sort_unstable();
        let at = |percent: usize| {
            let place = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
            latencies.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
        };
        let rows: usize = self.rows.iter().sum();
        let (each_second, each_step) =
            (rows as f64 / self.time.as_secs_f64(), rows as f64 / self.rows.len().max(1) as f64);
        write!(f, "{:>8} {each_second:>9.0} {each_step:>11.1}", self.clients.len())?;
        write!(f, "{:>22.2} {:>6.2} {:>6.2} {:>9.2}", at(50), at(90), at(99), at(100))
    }
}
