/** What an address is for. Only `public` addresses are the Internet's; every other class can be something of this host, its network or its cloud. */
export type AddressClass =
  | "public"
  | "private"
  | "loopback"
  | "link-local"
  | "metadata"
  | "shared"
  | "multicast"
  | "broadcast"
  | "unspecified"
  | "documentation"
  | "benchmarking"
  | "reserved"
  | "mapped"
  | "nat64"
  | "6to4"
  | "teredo"
  | "unique-local"
  | "site-local"
  | "invalid";

/**
 * Blocks and their class; the first that holds an address decides, so the small ones come before those that they lie in. From the IANA
 * registries iana-ipv4-special-registry, iana-ipv6-special-registry, ipv4-address-space and ipv6-address-space (RFC 6890). Blocks that are
 * special count as reserved even where the registry calls them reachable: no service for the public is there.
 */
export const ADDRESS_BLOCKS: readonly (readonly [block: string, meaning: AddressClass])[] = [
  // What clouds tell their machines, credentials among it: AWS, Google, Azure and others; ECS tasks; EKS pods; Alibaba; Azure's host; Oracle.
  ["169.254.169.254/32", "metadata"],
  ["169.254.170.2/32", "metadata"],
  ["169.254.170.23/32", "metadata"],
  ["100.100.100.200/32", "metadata"],
  ["168.63.129.16/32", "metadata"],
  ["192.0.0.192/32", "metadata"],
  ["fd00:ec2::254/128", "metadata"],
  ["fd20:ce::254/128", "metadata"],

  ["0.0.0.0/32", "unspecified"], // RFC 1122 3.2.1.3
  ["0.0.0.0/8", "reserved"], // RFC 791 3.2
  ["10.0.0.0/8", "private"], // RFC 1918
  ["100.64.0.0/10", "shared"], // RFC 6598
  ["127.0.0.0/8", "loopback"], // RFC 1122 3.2.1.3
  ["169.254.0.0/16", "link-local"], // RFC 3927
  ["172.16.0.0/12", "private"], // RFC 1918
  ["192.0.0.0/24", "reserved"], // RFC 6890 2.1
  ["192.0.2.0/24", "documentation"], // RFC 5737
  ["192.31.196.0/24", "reserved"], // AS112, RFC 7535
  ["192.52.193.0/24", "reserved"], // AMT, RFC 7450
  ["192.88.99.0/24", "6to4"], // RFC 3068, RFC 7526
  ["192.168.0.0/16", "private"], // RFC 1918
  ["192.175.48.0/24", "reserved"], // AS112, RFC 7534
  ["198.18.0.0/15", "benchmarking"], // RFC 2544
  ["198.51.100.0/24", "documentation"], // RFC 5737
  ["203.0.113.0/24", "documentation"], // RFC 5737
  ["224.0.0.0/4", "multicast"], // RFC 5771
  ["255.255.255.255/32", "broadcast"], // RFC 919
  ["240.0.0.0/4", "reserved"], // RFC 1112 4
  ["0.0.0.0/0", "public"],

  ["::/128", "unspecified"], // RFC 4291 2.5.2
  ["::1/128", "loopback"], // RFC 4291 2.5.3
  ["::ffff:0:0/96", "mapped"], // RFC 4291 2.5.5.2
  ["::/96", "mapped"], // IPv4-compatible, RFC 4291 2.5.5.1
  ["64:ff9b::/96", "nat64"], // RFC 6052
  ["64:ff9b:1::/48", "nat64"], // RFC 8215
  ["100::/64", "reserved"], // discard-only, RFC 6666
  ["2001::/32", "teredo"], // RFC 4380
  ["2001:2::/48", "benchmarking"], // RFC 5180
  ["2001::/23", "reserved"], // RFC 2928
  ["2001:db8::/32", "documentation"], // RFC 3849
  ["2002::/16", "6to4"], // RFC 3056
  ["2620:4f:8000::/48", "reserved"], // AS112, RFC 7534
  ["3ffe::/16", "reserved"], // 6bone, RFC 3701
  ["3fff::/20", "documentation"], // RFC 9637
  ["5f00::/16", "reserved"], // SRv6 SIDs, RFC 9602
  ["fc00::/7", "unique-local"], // RFC 4193
  ["fe80::/10", "link-local"], // RFC 4291 2.5.6
  ["fec0::/10", "site-local"], // RFC 3879
  ["ff00::/8", "multicast"], // RFC 4291 2.7
  ["2000::/3", "public"], // RFC 4291 2.4
  ["::/0", "reserved"],
];
