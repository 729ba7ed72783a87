import type { GroupedFinding } from '../scan/index.ts'
import type { Reader } from '../store/index.ts'
import { takenSecretPaths } from './findings-store.ts'

/** The mount that findings are imported into. */
const importMount = 'secret'
/** The field of a secret that holds an imported value. */
export const importField = 'value'

const slug = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60)

/** The name under which a value is assigned, if the text before it on its line says so: `PAYMENTS_KEY=`, `"apiKey": "`. */
export function assignedName(before: string): string | undefined {
  return /([A-Za-z_][\w.-]{1,80})["'\\]{0,3}\s*(?:=|:|=>)\s*["'\\]{0,3}$/.exec(before.slice(-160))?.[1]
}

/** `<mount>/<project>/<name>`, in words that a person can read; the caller makes it unique. */
export function secretPathFor(
  project: string,
  finding: Pick<GroupedFinding, 'rule'>,
  assigned: string | undefined,
): string {
  const name = slug(assigned ?? '') || slug(finding.rule) || 'secret'
  return `${importMount}/${slug(project) || 'project'}/${name}`
}

/** Gives each path once: `shop/api-key`, `shop/api-key-2`. */
export async function createNamer(reader: Reader): Promise<(wanted: string) => string> {
  const taken = await takenSecretPaths(reader)
  const last = new Map<string, number>()
  return (wanted) => {
    let n = last.get(wanted) ?? 1
    const numbered = (): string => (n === 1 ? wanted : `${wanted}-${n}`)
    while (taken.has(numbered())) n++
    last.set(wanted, n)
    taken.add(numbered())
    return numbered()
  }
}
