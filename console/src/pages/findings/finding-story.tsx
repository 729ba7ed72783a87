import type { FindingExplanation, FindingView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { explanationQuery } from '../../api/finding-queries.ts'
import { Badge, findingLook } from '../../ui/badge.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { ScrollRegion } from '../../ui/scroll-region.tsx'
import { Time } from '../../ui/time.tsx'

/** The lines around it as they are now, masked, and what happened to it. */
export function FindingStory({ finding }: { finding: FindingView }) {
  const { data, error, refetch } = useQuery(explanationQuery(finding.id))
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!data) return <Skeleton rows={2} label="Reading the lines around it" />
  return (
    <>
      {data.contexts.map((context) => (
        <Context key={context.file} context={context} />
      ))}
      <div>
        <h3 className="mb-1.5 text-xs text-muted">What happened to it</h3>
        <ol className="flex flex-col gap-1.5">
          {data.moves.map((move) => (
            <Move key={`${move.at} ${move.to}`} move={move} />
          ))}
        </ol>
      </div>
    </>
  )
}

function Context({ context: { file, lines, problem } }: { context: FindingExplanation['contexts'][number] }) {
  return (
    <div>
      <h3 className="mb-1.5 text-xs break-all text-muted">{file}, masked</h3>
      {problem === null ? (
        <ScrollRegion
          label={`Lines of ${file}`}
          className="overflow-x-auto rounded-lg border border-line bg-sunken py-1.5"
        >
          <pre className="w-max min-w-full text-xs leading-5">
            {lines.map(({ line, text, holds }) => (
              <span key={line} className={`block px-3 ${holds ? 'bg-brass-wash font-medium' : ''}`}>
                <span className="mr-3 inline-block w-8 text-right text-muted select-none">{line}</span>
                {text}
              </span>
            ))}
          </pre>
        </ScrollRegion>
      ) : (
        <p className="text-[0.8125rem] text-muted">{problem}</p>
      )}
    </div>
  )
}

function Move({ move: { at, to, actor, reason } }: { move: FindingExplanation['moves'][number] }) {
  return (
    <li className="text-[0.8125rem]">
      <span className="flex flex-wrap items-center gap-x-2">
        <Badge look={findingLook[to]} bare />
        <span className="text-muted">
          <Time at={at} /> by <span className="break-all">{actor}</span>
        </span>
      </span>
      {reason ? <p className="text-pretty text-muted">{reason}</p> : null}
    </li>
  )
}
