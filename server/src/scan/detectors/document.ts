import { writeFileSync } from 'node:fs'
import { keyStore } from '../key-store.ts'
import { alphabets, type Row } from './form.ts'
import { groups, patterns } from './index.ts'

// Writes docs/detectors.md from the tables: node server/src/scan/detectors/document.ts

export const documentPath = new URL('../../../../docs/detectors.md', import.meta.url)

/** In a table of Markdown, a bar ends a cell, also inside code. */
const code = (text: string): string => `\`${text.replaceAll('|', '\\|')}\``
const formsOf = ({ form }: Row): readonly string[] => (typeof form === 'string' ? [form] : form)

function lineOf(row: Row): string {
  const forms = formsOf(row).map(code).join(' or ')
  const after = (row.after ?? []).map(code).join(', ')
  return `| ${code(row.rule)} | ${row.title} | ${forms}${row.check ? ', checked' : ''} | ${after} |`
}

/** The page about what the scanner knows. */
export function documentDetectors(): string {
  const rows = groups.flatMap((group) => group.rows)
  const all = [...rows, ...patterns, keyStore]
  const providers = new Set(all.map(({ provider }) => provider)).size
  const rules = new Set(all.map(({ rule }) => rule)).size
  const tables = groups.map(({ title, rows: listed }) =>
    [`## ${title}`, '| rule | what | form | after |', '|---|---|---|---|', ...listed.map(lineOf), ''].join(
      '\n',
    ),
  )
  const titles = new Map([...patterns, keyStore].map(({ rule, title }) => [rule, title]))
  return [
    '# What the scanner knows',
    '',
    `${rules} rules for ${providers} services and standards. Generated from the tables in`,
    '[server/src/scan/detectors](../server/src/scan/detectors) by `node server/src/scan/detectors/document.ts`.',
    '',
    'Rule names are stable. A form is to be read like this: `gsk_<an 52>` is `gsk_` and 52 letters or digits,',
    '`<hex 32-64>` has from 32 to 64, `[live|test]` is one of two words, `<uuid>` is a UUID. What *after* lists is part of the',
    'name of the key that gives the value, such as `mailjet` in `MAILJET_API_KEY=` or `mailjet: { apiKey: `; such a form has',
    'no mark of its own. *Checked* means more than the form: a checksum or a structure. A value whose checksum is wrong is',
    'reported with low confidence. No form counts when its value is plainly not random, or is shown as an example.',
    '',
    '| alphabet | holds |',
    '|---|---|',
    ...Object.entries(alphabets).map(([name, { says }]) => `| \`${name}\` | ${says} |`),
    '',
    ...tables,
    '## Told by an expression of their own',
    '| rule | what |',
    '|---|---|',
    ...[...titles].map(([rule, title]) => `| ${code(rule)} | ${title} |`),
    '',
  ].join('\n')
}

if (import.meta.main) writeFileSync(documentPath, documentDetectors())
