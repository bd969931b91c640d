#!/usr/bin/python3
"""Two racks and a spine, served in learning mode, and two VLANs across both. In each rack a plain bridge tags what its
hosts send, as a node's does. The VLANs have the same MAC and IP addresses, in the other rack each: a switch that learned
without regard to the VLAN would send half of it the wrong way. One host of each VLAN has an address that the other VLAN
has not, and must not be reached from there.

Prints mn's summary of the pings that should succeed; fails if one did that should not."""

import sys

from mininet.net import Mininet
from mininet.node import OVSBridge, OVSSwitch, RemoteController
from mininet.topo import Topo

# By VLAN: the last byte of the addresses of the hosts in the first rack and in the second.
HOSTS = {10: ((1, 2), (3, 4)), 20: ((3, 5), (1, 2))}


class Racks(Topo):
    def build(self):
        learning = {"cls": OVSSwitch, "protocols": "OpenFlow13", "datapath": "user"}
        spine = self.addSwitch("s1", **learning)
        for rack in (0, 1):
            top = self.addSwitch(f"s{rack + 2}", **learning)
            edge = self.addSwitch(f"e{rack + 1}", cls=OVSBridge, datapath="user", dpid=f"e{rack + 1}")
            self.addLink(top, spine)
            self.addLink(edge, top)
            for vlan, racks in HOSTS.items():
                for last in racks[rack]:
                    host = self.addHost(
                        f"h{last}v{vlan}", ip=f"10.0.0.{last}/24", mac=f"02:00:00:00:00:{last:02x}", vlan=vlan
                    )
                    self.addLink(host, edge)


def tag_access_ports(net):
    """Puts each host's port of its edge bridge into the host's VLAN."""
    for host in net.hosts:
        port = host.defaultIntf().link.intf2
        said = port.node.cmd(f"ovs-vsctl set port {port} tag={host.params['vlan']}")
        if said:
            sys.exit(f"{port}: {said}")


def main():
    net = Mininet(topo=Racks(), controller=None)
    net.addController("c0", controller=RemoteController, ip="127.0.0.1", port=6653)
    net.start()
    try:
        tag_access_ports(net)
        if not net.waitConnected(timeout=20):
            sys.exit("there are switches without a controller")
        lost = n = 0
        for host in net.hosts:
            vlan = host.params["vlan"]
            here = {last for racks in HOSTS[vlan] for last in racks}
            for last in range(1, 6):
                if host.IP() == f"10.0.0.{last}":
                    continue
                reached = " 1 received" in host.cmd(f"ping -n -c 1 -W 2 10.0.0.{last}")
                if last in here:
                    n, lost = n + 1, lost + (not reached)
                elif reached:
                    sys.exit(f"{host.name} reached 10.0.0.{last}, which is not on VLAN {vlan}")
        print(f"*** Results: {-(-100 * lost // n)}% dropped ({n - lost}/{n} received)")
    finally:
        net.stop()


main()
