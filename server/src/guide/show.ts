import type { FindingView, ImportPreview } from '@keyward/contract'
import { printable, renderTable } from '../cli/index.ts'
import type { Screen } from './screen.ts'

const mostLines = 40
const placeText = ({ places: [place] }: FindingView): string =>
  place ? `${place.file}:${place.line}${place.commit ? ` in commit ${place.commit.slice(0, 8)}` : ''}` : ''

/** In the order of the files, so that the changes below are read in the same order. */
export function showFindings(findings: readonly FindingView[], screen: Screen): void {
  const rows = findings.toSorted((a, b) => order(a, b))
  const table = renderTable(
    [
      { title: 'Found', value: ({ title }) => title, shrink: true },
      { title: 'Value, masked', value: ({ masked }) => masked, shrink: true },
      { title: 'Where', value: placeText },
    ],
    rows,
    screen.columns,
  )
  screen.say(`\n${table.trimEnd()}`)
}

function order({ places: [a] }: FindingView, { places: [b] }: FindingView): number {
  if (!a || !b) return 0
  if ((a.commit === null) !== (b.commit === null)) return a.commit === null ? -1 : 1
  return a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1
}

/** What would change: each line before and after, as masked as everywhere. */
export function showChanges({ files, secrets, historyOnly }: ImportPreview, screen: Screen): void {
  const lines = files.flatMap(({ file, lines }) => [
    printable(file),
    ...lines.flatMap(({ line, before, after }) => [
      `${String(line).padStart(6)} ${screen.tint('red', `- ${printable(before.trim())}`)}`,
      `       ${screen.tint('green', `+ ${printable(after.trim())}`)}`,
    ]),
  ])
  const left = lines.length - mostLines
  const more = left > 0 ? [`  … and ${left} lines more, which the approval shows`] : []
  screen.say(['', 'What would change', ...lines.slice(0, mostLines), ...more].join('\n'))
  const titles = historyOnly.map((id) => secrets.find((secret) => secret.findingId === id)?.title ?? id)
  if (titles.length > 0)
    screen.say(
      `Only in the git history, where nothing is rewritten: ${printable(titles.join(', '))}. Rotate it at its provider.`,
    )
  screen.say('')
}
