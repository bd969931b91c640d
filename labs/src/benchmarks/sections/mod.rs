//! One file a section. A new one is a file here and a line in [`ALL`].

mod barrier;
mod changes;
mod dataplane;
mod docker;
mod fabric;
mod fleet;
mod flows;
mod install;
mod ofctl;
mod ovn;
mod packet_in;
mod quickstart;
mod restart;
mod start;
mod storm;

use super::Measurement;

/// All sections, in the order in which they are measured.
pub(super) const ALL: &[Measurement] = &[
    Measurement { name: "ofctl", what: "ofctl beside ovs-ofctl, whole processes", measure: ofctl::measure },
    Measurement {
        name: "quickstart",
        what: "containers and namespaces on three nodes, and what idle daemons cost",
        measure: quickstart::measure,
    },
    Measurement {
        name: "changes",
        what: "what the start of an endpoint changes in the nodes' flow tables",
        measure: changes::measure,
    },
    Measurement {
        name: "flows",
        what: "flows a node, beside the rule by which OVN's grow",
        measure: flows::measure,
    },
    Measurement {
        name: "install",
        what: "flows a second into one bridge, beside bytes that were encoded before",
        measure: install::measure,
    },
    Measurement {
        name: "fabric",
        what: "200 endpoints' MAC addresses, ARP and first packets, beside NORMAL and OVN",
        measure: fabric::measure,
    },
    Measurement {
        name: "ovn",
        what: "flows, changes and starts at 10, 100 and 1,000 ports, beside OVN's",
        measure: ovn::measure,
    },
    Measurement {
        name: "dataplane",
        what: "throughput, round trips and first packets, beside NORMAL and OVN",
        measure: dataplane::measure,
    },
    Measurement {
        name: "start",
        what: "from a request to the first reply, beside a bare port of Open vSwitch",
        measure: start::measure,
    },
    Measurement {
        name: "docker",
        what: "docker run in a network of Weir's, to the first reply, beside docker run without a network",
        measure: docker::measure,
    },
    Measurement {
        name: "barrier",
        what: "from a request to its confirmed flows, by phase, at 10 to 4,000 endpoints",
        measure: barrier::measure,
    },
    Measurement {
        name: "restart",
        what: "packets lost while controller and agents are killed, with 1,000 endpoints",
        measure: restart::measure,
    },
    Measurement {
        name: "storm",
        what: "one endpoint's 20,000 ARP requests a second, beside as many frames that are dropped",
        measure: storm::measure,
    },
    Measurement {
        name: "fleet",
        what: "10, 100 and 1,000 simulated switches with 100 endpoints each",
        measure: fleet::measure_thousand,
    },
    Measurement {
        name: "fleet-large",
        what: "10,000 simulated switches in ten pools, with 100 endpoints each",
        measure: fleet::measure_ten_thousand,
    },
    Measurement {
        name: "packet-in",
        what: "packet-ins answered in learning mode, beside ovs-testcontroller and os-ken",
        measure: packet_in::measure,
    },
];
