//! One switch of the benchmark.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use flowlib::channel::{Deframer, echo_reply, hear_hello, say_hello};
use flowlib::openflow::{
    AggregateStats, FeaturesReply, Message, MultipartReplyBody, MultipartRequestBody, SwitchConfig,
};
use flowlib::types::{DatapathId, MacAddr, Xid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use super::message::{self, Said, Template};
use super::tally::Tally;

/// What all switches of a run do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) peer: SocketAddr,
    pub(super) window: u32,
    pub(super) addresses: u32,
    pub(super) carried: bool,
    /// Answers count from then on.
    pub(super) begin: Instant,
    pub(super) end: Instant,
}

/// How long a packet may be unanswered.
const PATIENCE: Duration = Duration::from_secs(1);
/// Ports; neighbouring addresses are behind different ones.
const PORTS: u32 = 16;
/// Buffers, and numbers of packets, which tell them apart.
const NUMBERS: u32 = 1 << 20;

struct Switch {
    plan: Plan,
    datapath: u64,
    template: Template,
    /// By number modulo the window: the number on its way there, and since when.
    window: Vec<(u32, Instant)>,
    /// How many packets were shown.
    shown: u32,
    /// When to look for packets that have not been answered.
    look_at: Instant,
    outgoing: Vec<u8>,
    tally: Tally,
}

/// Connects a switch and has it show packets until the end.
pub(super) async fn run(plan: Plan, datapath: u64) -> anyhow::Result<Tally> {
    let mut stream = TcpStream::connect(plan.peer).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    let mut switch = Switch {
        plan,
        datapath,
        template: Template::new(),
        window: Vec::new(),
        shown: 0,
        look_at: plan.begin,
        outgoing: Vec::new(),
        tally: Tally::default(),
    };
    let (mut deframer, mut buffer) = (Deframer::default(), vec![0; 64 << 10]);
    let mut greeted = false;
    say_hello(Xid(1), &mut switch.outgoing);
    loop {
        match timeout_at(plan.end.into(), stream.write_all(&switch.outgoing)).await {
            Ok(written) => written.context("the controller has hung up")?,
            Err(_) => return Ok(switch.tally),
        }
        switch.outgoing.clear();
        let read = timeout(PATIENCE, stream.read(&mut buffer)).await;
        let now = Instant::now();
        if now >= plan.end {
            return Ok(switch.tally);
        }
        match read {
            Ok(Ok(0)) => bail!("the controller has hung up"),
            Ok(n) => deframer.push(buffer.get(..n?).unwrap_or_default()),
            Err(_) => {}
        }
        if now >= switch.look_at {
            switch.show_again(now);
            switch.look_at = now + PATIENCE;
        }
        while let Some(message) = deframer.next_message()? {
            if std::mem::replace(&mut greeted, true) {
                switch.hear(now, message)?;
            } else {
                hear_hello(message, &mut switch.outgoing)?;
            }
        }
    }
}

impl Switch {
    fn hear(&mut self, now: Instant, message: &[u8]) -> anyhow::Result<()> {
        match message::read(message) {
            Said::Answer { number, is_flow_mod } => {
                self.tally.flow_mods += u64::from(is_flow_mod && self.counts(now));
                self.answered(now, number);
            }
            Said::FlowMod => self.tally.flow_mods += u64::from(self.counts(now)),
            Said::PacketOut => {}
            Said::Other => self.other(now, message)?,
        }
        Ok(())
    }

    fn counts(&self, now: Instant) -> bool {
        now >= self.plan.begin
    }

    fn answered(&mut self, now: Instant, number: u32) {
        let place = (number % self.plan.window) as usize;
        let Some((waiting, since)) = self.window.get(place).copied() else { return };
        if waiting == number {
            if self.counts(now) {
                self.tally.answer(now.saturating_duration_since(since));
            }
            self.show(now, place);
        }
    }

    /// Shows a packet in a place of the window: first every address as a sender to all, then pairs.
    fn show(&mut self, now: Instant, place: usize) {
        let Plan { window, addresses, carried, .. } = self.plan;
        let nth = self.shown;
        self.shown = self.shown.wrapping_add(1);
        let from = nth % addresses;
        let to = if nth < addresses { MacAddr::BROADCAST } else { self.address((from + 1) % addresses) };
        // The next number that falls into this place.
        let place_number = u32::try_from(place).expect("the window is small");
        let before = self.window[place].0;
        let number = (before + window) % (NUMBERS / window * window);
        debug_assert_eq!(number % window, place_number);
        self.window[place] = (number, now);
        let pair = [self.address(from), to];
        self.template.append(number, carried, 1 + from % PORTS, pair, &mut self.outgoing);
    }

    /// Gives up the packets that have not been answered for long.
    fn show_again(&mut self, now: Instant) {
        for place in 0..self.window.len() {
            let since = self.window[place].1;
            if now.saturating_duration_since(since) >= PATIENCE {
                self.tally.unanswered += u64::from(self.counts(since));
                self.show(now, place);
            }
        }
    }

    fn address(&self, nth: u32) -> MacAddr {
        let [.., switch] = self.datapath.to_be_bytes();
        let [_, a, b, c] = nth.to_be_bytes();
        MacAddr([2, switch, 0, a, b, c])
    }

    /// Answers what a switch must; begins to show packets when the controller knows what this is.
    fn other(&mut self, now: Instant, bytes: &[u8]) -> anyhow::Result<()> {
        let (xid, message) = Message::decode(bytes)?;
        let answer = match message {
            Message::EchoRequest(_) => {
                echo_reply(bytes, &mut self.outgoing);
                return Ok(());
            }
            Message::FeaturesRequest => Message::FeaturesReply(FeaturesReply {
                datapath_id: DatapathId(self.datapath),
                n_buffers: if self.plan.carried { 0 } else { NUMBERS },
                n_tables: 1,
                auxiliary_id: 0,
                capabilities: 0,
                reserved: 0,
            }),
            Message::GetConfigRequest => {
                Message::GetConfigReply(SwitchConfig { flags: 0, miss_send_len: 128 })
            }
            Message::BarrierRequest => Message::BarrierReply,
            Message::MultipartRequest(request) => match request.body {
                MultipartRequestBody::PortDesc => {
                    Message::MultipartReply(MultipartReplyBody::PortDesc(Vec::new()).into())
                }
                // It has a flow for each pair, at most: what is installed again takes the place of what was there.
                MultipartRequestBody::Aggregate(_) => {
                    let flow_count = self.plan.addresses;
                    let stats = AggregateStats { packet_count: 0, byte_count: 0, flow_count };
                    Message::MultipartReply(MultipartReplyBody::Aggregate(stats).into())
                }
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        let begins = matches!(answer, Message::FeaturesReply(_));
        answer.encode(xid, &mut self.outgoing)?;
        if begins && self.window.is_empty() {
            self.tally.served = 1;
            self.look_at = now + PATIENCE;
            self.window = (0..self.plan.window).map(|place| (place, now)).collect();
            (0..self.window.len()).for_each(|place| self.show(now, place));
        }
        Ok(())
    }
}
