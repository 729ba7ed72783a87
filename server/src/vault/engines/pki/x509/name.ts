import {
  inside,
  type Node,
  objectId,
  readObjectId,
  readOne,
  readText,
  sequence,
  setOf,
  tags,
  text,
} from './der.ts'
import { oids } from './oids.ts'

/** Who a certificate is about, as far as it is asked for here. */
export type Subject = {
  readonly country?: readonly string[]
  readonly organization?: readonly string[]
  readonly organizationalUnit?: readonly string[]
  readonly locality?: readonly string[]
  readonly province?: readonly string[]
  readonly streetAddress?: readonly string[]
  readonly postalCode?: readonly string[]
  readonly commonName?: string
  readonly serialNumber?: string
  readonly userIds?: readonly string[]
}

const listed = [
  'country',
  'organization',
  'organizationalUnit',
  'locality',
  'province',
  'streetAddress',
  'postalCode',
] as const

export function nameOf(subject: Subject): Buffer {
  const many = listed.map((attribute) => [oids[attribute], subject[attribute] ?? []] as const)
  const single = [
    [oids.commonName, subject.commonName ? [subject.commonName] : []],
    [oids.serialNumber, subject.serialNumber ? [subject.serialNumber] : []],
  ] as const
  const users = (subject.userIds ?? []).map((id) => [oids.userId, [id]] as const)
  const relative = [...many, ...single, ...users].filter(([, values]) => values.length > 0)
  return sequence(
    ...relative.map(([oid, values]) =>
      setOf(...[...new Set(values)].map((value) => sequence(objectId(oid), directoryText(value)))),
    ),
  )
}

export const isEmptyName = (name: Buffer): boolean => name.length <= 2

const directoryText = (value: string): Buffer =>
  text(/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value) ? tags.printable : tags.utf8, value)

/** The values of one attribute of a name, in their order. */
export function valuesIn(name: Buffer, oid: string): string[] {
  return attributesOf(name).flatMap(([type, value]) => (type === oid ? [value] : []))
}

const shortNames: Readonly<Record<string, string>> = {
  [oids.commonName]: 'CN',
  [oids.serialNumber]: 'SERIALNUMBER',
  [oids.country]: 'C',
  [oids.locality]: 'L',
  [oids.province]: 'ST',
  [oids.streetAddress]: 'STREET',
  [oids.organization]: 'O',
  [oids.organizationalUnit]: 'OU',
  [oids.postalCode]: 'POSTALCODE',
}

/** `CN=example.com,O=Example`, the last part first (RFC 2253). */
export function printName(name: Buffer): string {
  return attributesOf(name)
    .map(([type, value]) => `${shortNames[type] ?? type}=${value.replace(/[,+"\\<>;]/g, '\\$&')}`)
    .reverse()
    .join(',')
}

function attributesOf(name: Buffer): [string, string][] {
  return inside(readOne(name)).flatMap((relative) =>
    inside(relative, tags.set).map((pair): [string, string] => {
      const [type, value] = inside(pair)
      return [readObjectId(type), textOf(value)]
    }),
  )
}

/** What is no text is shown by its bytes, as `#0401ff`. */
const textOf = (value: Node | undefined): string =>
  value ? (readText(value) ?? `#${value.whole.toString('hex')}`) : ''
