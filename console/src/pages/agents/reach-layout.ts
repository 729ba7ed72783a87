import type { WayOut } from '@keyward/contract'

export type Spot = { readonly key: string; readonly top: number }
/** `ways` of the same secret to the same place, and how the line between them looks. */
export type Line = {
  readonly key: string
  readonly from: number
  readonly to: number
  readonly look: LineLook
}
/** `held`: by a lease. `askable`: a lease could be asked for. `shut`: it would be refused. */
export type LineLook = 'held' | 'askable' | 'shut'
export type ReachLayout = {
  readonly height: number
  readonly agentTop: number
  readonly secrets: readonly (Spot & { ways: readonly WayOut[] })[]
  readonly places: readonly (Spot & { ways: readonly WayOut[] })[]
  readonly toSecrets: readonly Line[]
  readonly toPlaces: readonly Line[]
}

export const cardHeight = 64
const gap = 16

const secretOf = ({ secretPath, field }: WayOut): string => `${secretPath}#${field ?? '*'}`
const hostOf = ({ destination: { host, port } }: WayOut): string => (port === 443 ? host : `${host}:${port}`)

/** Three columns, each centred: the agent, the secrets, the hosts. In pixels. */
export function reachLayout(ways: readonly WayOut[]): ReachLayout {
  const bySecret = Map.groupBy(ways, secretOf)
  const byPlace = Map.groupBy(ways, hostOf)
  const rows = Math.max(1, bySecret.size, byPlace.size)
  const height = rows * (cardHeight + gap) - gap
  const secrets = column(bySecret, height)
  const places = column(byPlace, height)
  const agentTop = (height - cardHeight) / 2
  const topOf = (spots: readonly Spot[], key: string): number =>
    (spots.find((spot) => spot.key === key)?.top ?? 0) + cardHeight / 2
  return {
    height,
    agentTop,
    secrets,
    places,
    toSecrets: secrets.map(({ key, ways: own }) => ({
      key,
      from: agentTop + cardHeight / 2,
      to: topOf(secrets, key),
      look: lookOf(own),
    })),
    toPlaces: [...Map.groupBy(ways, (way) => `${secretOf(way)} ${hostOf(way)}`)].flatMap(([key, own]) => {
      const [first] = own
      if (!first) return []
      const [from, to] = [topOf(secrets, secretOf(first)), topOf(places, hostOf(first))]
      return [{ key, from, to, look: lookOf(own) }]
    }),
  }
}

function column(groups: ReadonlyMap<string, WayOut[]>, height: number) {
  const own = groups.size * (cardHeight + gap) - gap
  return [...groups].map(([key, ways], i) => ({
    key,
    ways,
    top: (height - own) / 2 + i * (cardHeight + gap),
  }))
}

/** The widest of them. */
export function lookOf(ways: readonly Pick<WayOut, 'kind' | 'open'>[]): LineLook {
  const open = ways.filter((way) => way.open)
  if (open.length === 0) return 'shut'
  return open.some(({ kind }) => kind === 'lease') ? 'held' : 'askable'
}

/** What makes a way wider than it need be, in words. */
export function widenings({ destination, injection }: Pick<WayOut, 'destination' | 'injection'>): string[] {
  const { host, methods, pathPrefix, pathPattern } = destination
  const relayed = ['postgres', 'redis', 'ssh'].includes(injection.kind)
  return [
    ...(injection.kind === 'anywhere' ? ['in any place of a request'] : []),
    ...(!relayed && methods === undefined ? ['any method'] : []),
    ...(!relayed && pathPrefix === undefined && pathPattern === undefined ? ['any path'] : []),
    ...(/^[\d.]+$|:/.test(host) ? ['an address instead of a name'] : []),
  ]
}
