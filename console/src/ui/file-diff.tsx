import type { ImportPreview } from '@keyward/contract'
import { FileText } from 'lucide-react'
import { Digest } from './copy.tsx'
import { ScrollRegion } from './scroll-region.tsx'

export type FileChange = ImportPreview['files'][number]

/** One file, line by line: what stands there now and what would stand there. Values are masked by the server. */
export function FileDiff({ change }: { change: FileChange }) {
  const count = change.lines.length
  return (
    <article
      aria-label={`Changes to ${change.file}`}
      className="overflow-hidden rounded-xl border border-line bg-surface"
    >
      <header className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line px-4 py-2.5">
        <FileText size={16} className="text-muted" aria-hidden="true" />
        <h3 className="min-w-0 font-mono text-[0.8125rem] font-medium break-all">{change.file}</h3>
        <span className="text-xs text-muted">{count === 1 ? '1 line' : `${count} lines`}</span>
        <span className="ml-auto hidden items-center gap-1.5 text-xs text-muted md:inline-flex">
          <Digest value={change.sha256Before} head={6} what={`the hash of ${change.file} now`} />
          →
          <Digest value={change.sha256After} head={6} what={`the hash of ${change.file} afterwards`} />
        </span>
      </header>
      <ScrollRegion label={`Lines of ${change.file}`} className="overflow-x-auto -outline-offset-2">
        <table className="w-full border-collapse font-mono text-xs leading-6">
          <caption className="sr-only">Each line before and after</caption>
          <tbody>
            {change.lines.map(({ line, before, after }) => [
              <Line
                key={`${line}-before`}
                line={line}
                text={before}
                sign="−"
                name="before"
                style="bg-bad-wash"
                mark="text-bad"
              />,
              <Line
                key={`${line}-after`}
                line={line}
                text={after}
                sign="+"
                name="after"
                style="bg-ok-wash"
                mark="text-ok"
              />,
            ])}
          </tbody>
        </table>
      </ScrollRegion>
    </article>
  )
}

type LineProps = { line: number; text: string; sign: string; name: string; style: string; mark: string }

function Line({ line, text, sign, name, style, mark }: LineProps) {
  return (
    <tr className={style}>
      <th scope="row" className="w-12 pr-3 pl-4 text-right font-normal text-ink/75 tabular-nums select-none">
        {line}
        <span className="sr-only"> {name}</span>
      </th>
      <td aria-hidden="true" className={`w-4 font-bold select-none ${mark}`}>
        {sign}
      </td>
      <td className="pr-4 pl-2 whitespace-pre">{text}</td>
    </tr>
  )
}
