//! Messages as text against `ovs-ofctl ofp-print`, byte for byte. Where it is not installed, the tests say so and
//! pass.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use flowlib::text::{Style, Verbosity, print_message};

fn ovs_ofctl() -> bool {
    let found = Command::new("ovs-ofctl").arg("--version").stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        eprintln!("ovs-ofctl is not installed: not compared with it");
    }
    found
}

/// Raw messages, one a file, with the file's name.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/ryu-of13");
    let Ok(files) = fs::read_dir(&folder) else {
        eprintln!("{} is not there: its messages are not printed", folder.display());
        return Vec::new();
    };
    let mut vectors: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    vectors.sort();
    vectors
}

fn ours(bytes: &[u8], verbosity: Verbosity) -> String {
    let mut out = String::new();
    print_message(&mut out, bytes, Style::default(), verbosity);
    out
}

/// What ovs-ofctl prints of one message, with that many `-m`.
fn theirs(bytes: &[u8], more: u8) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let options = (0..more).map(|_| "-m");
    let out = Command::new("ovs-ofctl").args(options).args(["ofp-print", &hex]).output().unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Messages whose bodies are not printed yet.
const NOT_HERE: &[&str] = &[
    "4-1-ofp_packet_out.packet",
    "4-11-ofp_flow_stats_request.packet",
    "4-12-ofp_flow_stats_reply.packet",
    "4-19-ofp_role_request.packet",
    "4-2-ofp_flow_mod.packet",
    "4-20-ofp_role_reply.packet",
    "4-23-ofp_table_mod.packet",
    "4-26-ofp_aggregate_stats_reply.packet",
    "4-3-ofp_flow_mod.packet",
    "4-32-ofp_group_features_reply.packet",
    "4-35-ofp_queue_get_config_request.packet",
    "4-37-ofp_queue_stats_request.packet",
    "4-38-ofp_queue_stats_reply.packet",
    "4-4-ofp_packet_in.packet",
    "4-40-ofp_flow_removed.packet",
    "4-43-ofp_get_async_reply.packet",
    "4-44-ofp_set_async.packet",
    "4-46-ofp_flow_mod.packet",
    "4-50-ofp_meter_stats_reply.packet",
    "4-52-ofp_meter_features_reply.packet",
    "4-55-ofp_table_features_request.packet",
    "4-56-ofp_table_features_reply.packet",
    "4-58-ofp_group_stats_reply.packet",
    "4-59-ofp_packet_in.packet",
    "4-60-ofp_flow_mod.packet",
    "4-63-onf_flow_monitor_request.packet",
    "libofproto-OFP13-flow_mod.packet",
    "libofproto-OFP13-flow_mod_conjunction.packet",
    "libofproto-OFP13-flow_mod_match_conj.packet",
    "libofproto-OFP13-flow_removed.packet",
    "libofproto-OFP13-ofp_packet_out_packet_library.packet",
    "libofproto-OFP13-packet_in.packet",
    "libofproto-OFP13-table_mod.packet",
    "ovs-ofctl-of13-action_conjunction.packet",
    "ovs-ofctl-of13-action_controller.packet",
    "ovs-ofctl-of13-action_controller2.packet",
    "ovs-ofctl-of13-action_ct.packet",
    "ovs-ofctl-of13-action_ct_clear.packet",
    "ovs-ofctl-of13-action_ct_exec.packet",
    "ovs-ofctl-of13-action_ct_nat.packet",
    "ovs-ofctl-of13-action_ct_nat_v6.packet",
    "ovs-ofctl-of13-action_dec_ttl_cnt_ids.packet",
    "ovs-ofctl-of13-action_fintimeout.packet",
    "ovs-ofctl-of13-action_learn.packet",
    "ovs-ofctl-of13-action_note.packet",
    "ovs-ofctl-of13-action_output_trunc.packet",
    "ovs-ofctl-of13-action_resubmit.packet",
    "ovs-ofctl-of13-action_sample.packet",
    "ovs-ofctl-of13-action_sample2.packet",
    "ovs-ofctl-of13-action_stack_pop.packet",
    "ovs-ofctl-of13-action_stack_push.packet",
    "ovs-ofctl-of13-match_conj.packet",
    "ovs-ofctl-of13-match_load_nx_register.packet",
    "ovs-ofctl-of13-match_move_nx_register.packet",
    "ovs-ofctl-of13-match_pkt_mark.packet",
    "ovs-ofctl-of13-match_pkt_mark_masked.packet",
];

#[test]
fn vectors_print_as_ovs_ofctl_prints_them() {
    if !ovs_ofctl() {
        return;
    }
    for (name, bytes) in vectors().iter().filter(|(name, _)| !NOT_HERE.contains(&name.as_str())) {
        for more in [0, 1] {
            let verbosity = Verbosity(Verbosity::MESSAGE.0 + more);
            assert_eq!(ours(bytes, verbosity), theirs(bytes, more), "{name} with {more} -m");
        }
    }
}
