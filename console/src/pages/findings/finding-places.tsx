import type { FindingPlace, FindingView } from '@keyward/contract'
import { FileText, GitCommitHorizontal } from 'lucide-react'
import { useState } from 'react'
import { Button } from '../../ui/button.tsx'
import { ExactTime, Time } from '../../ui/time.tsx'

const shownAtFirst = 8

export function FindingPlaces({ finding }: { finding: FindingView }) {
  const [all, setAll] = useState(false)
  const { placeCount, places } = finding
  const shown = all ? places : places.slice(0, shownAtFirst)
  const title =
    placeCount === 0
      ? 'It stands nowhere any more'
      : placeCount === 1
        ? 'It stands in one place'
        : `It stands in ${placeCount.toLocaleString()} places`
  return (
    <div>
      <h3 className="mb-1.5 text-xs text-muted">{title}</h3>
      <ul className="divide-y divide-line rounded-lg border border-line">
        {shown.map((place) => (
          <Place key={`${place.file}:${place.line}:${place.column}:${place.commit}`} place={place} />
        ))}
      </ul>
      {shown.length < places.length ? (
        <Button size="small" tone="quiet" className="mt-1.5" onClick={() => setAll(true)}>
          Show {places.length - shown.length} more
        </Button>
      ) : null}
    </div>
  )
}

function Place({
  place: { file, line, column, commit, author, committedAt, firstSeenAt, lastSeenAt, goneAt },
}: {
  place: FindingPlace
}) {
  const Icon = commit ? GitCommitHorizontal : FileText
  return (
    <li className="flex items-start gap-2.5 px-3 py-2">
      <Icon size={15} className="mt-0.5 shrink-0 text-muted" aria-hidden="true" />
      <div className="min-w-0">
        <p className={`break-all ${goneAt ? 'text-muted line-through' : ''}`}>
          <code>
            {file}:{line}:{column}
          </code>
        </p>
        {commit ? (
          <p className="text-xs text-muted">
            In the git history: commit <code>{commit.slice(0, 10)}</code>
            {author ? ` by ${author}` : ''}
            {committedAt ? (
              <>
                , <ExactTime at={committedAt} />
              </>
            ) : null}
          </p>
        ) : null}
        <p className="text-xs text-muted">
          First seen <Time at={firstSeenAt} />
          {goneAt ? ', gone ' : ', last seen '}
          <Time at={goneAt ?? lastSeenAt} />
        </p>
      </div>
    </li>
  )
}
