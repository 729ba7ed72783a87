import { BlockList, isIP } from 'node:net'

/** Address ranges that are not the public Internet, with the words a refusal uses. */
const ranges: readonly (readonly [what: string, ...subnets: string[]])[] = [
  ['loopback', '127.0.0.0/8', '::1/128'],
  ['link-local, where cloud metadata lives', '169.254.0.0/16', 'fe80::/10'],
  ['a cloud provider’s internal address', '168.63.129.16/32', '100.100.100.200/32', 'fd00:ec2::254/128'],
  ['private', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', 'fec0::/10'],
  ['carrier-grade NAT', '100.64.0.0/10'],
  ['unspecified', '0.0.0.0/8', '::/128'],
  ['multicast', '224.0.0.0/4', 'ff00::/8'],
  [
    'reserved',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.88.99.0/24',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '240.0.0.0/4',
    '2001:db8::/32',
    '3fff::/20',
  ],
  ['a tunnel or translation that hides another address', '2001::/23', '2002::/16'],
]

/** Everything outside 2000::/3, IPv4 inside IPv6 (mapped, NAT64) included, is no address of a public server. */
const globalUnicast = '2000::/3'

function listOf(subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [network = '', prefix = ''] = subnet.split('/')
    list.addSubnet(network, Number(prefix), isIP(network) === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

const classes = ranges.map(([what, ...subnets]) => ({ what, list: listOf(subnets) }))
const globalList = listOf([globalUnicast])

/** Why an address must not be connected to, or undefined when it is on the public Internet. */
export function addressRefusal(address: string): string | undefined {
  const version = isIP(address)
  if (version === 0) return 'not an IP address'
  const family = version === 6 ? 'ipv6' : 'ipv4'
  const known = classes.find(({ list }) => list.check(address, family))
  if (known) return known.what
  return version === 6 && !globalList.check(address, 'ipv6') ? 'outside the public IPv6 range' : undefined
}
