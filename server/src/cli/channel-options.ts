import { type ChannelRoute, eventNames, type Risk } from '@keyward/contract'
import { InvalidArgumentError } from 'commander'

export type SettingValue = string | number | string[] | { [name: string]: SettingValue }
export type Route = { readonly events: ChannelRoute['events']; readonly risks: Risk[] }

const risks: readonly Risk[] = ['low', 'medium', 'high', 'critical']
const lists = ['to']

/** `port=465` is a number, `to=` can be repeated, `bot={…}` is JSON; everything else is text. */
export function addSetting(
  text: string,
  before: Readonly<Record<string, SettingValue>> = {},
): Record<string, SettingValue> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Write name=value.')
  const [name, value] = [text.slice(0, at), text.slice(at + 1)]
  const earlier = before[name]
  if (lists.includes(name)) return { ...before, [name]: [...(Array.isArray(earlier) ? earlier : []), value] }
  return { ...before, [name]: settingOf(value) }
}

function settingOf(text: string): SettingValue {
  if (/^\d{1,5}$/.test(text)) return Number(text)
  if (!text.startsWith('{')) return text
  try {
    return JSON.parse(text) as SettingValue
  } catch {
    throw new InvalidArgumentError('It begins like JSON and is none.')
  }
}

/** `approval.requested,run.finished:high,critical`. */
export function addRoute(text: string, before: readonly Route[] = []): Route[] {
  const [events = '', given = ''] = text.split(':')
  const unknown = events.split(',').find((name) => !eventNames.some((event) => event === name))
  if (unknown !== undefined) throw new InvalidArgumentError(`There is no event '${unknown}'.`)
  const wanted = given.split(',').filter(Boolean)
  const odd = wanted.find((name) => !risks.some((risk) => risk === name))
  if (odd !== undefined) throw new InvalidArgumentError(`'${odd}' is not low, medium, high or critical.`)
  return [...before, { events: events.split(',') as Route['events'], risks: wanted as Risk[] }]
}

export const routeText = ({ events, risks: of, flows }: ChannelRoute): string =>
  `${events.join(',')}${of.length > 0 ? `:${of.join(',')}` : ''}${flows.length > 0 ? ` (${flows.join(', ')})` : ''}`
