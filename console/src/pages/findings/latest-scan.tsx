import type { ScanView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { CircleCheck, CircleX, LoaderCircle } from 'lucide-react'
import { scansQuery } from '../../api/queries.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'

const looks: Record<ScanView['state'], Look> = {
  running: { hue: 'busy', icon: LoaderCircle, text: 'Scanning', moving: true },
  finished: { hue: 'ok', icon: CircleCheck, text: 'Scanned' },
  failed: { hue: 'bad', icon: CircleX, text: 'Scan failed' },
}

/** How far the latest scan is, and what it could not read: nothing is left out in silence. */
export function LatestScan() {
  const { data, error, refetch } = useQuery(scansQuery)
  const scan = data?.items[0]
  if (error) {
    return (
      <div className="mb-5">
        <Failure error={error} retry={() => void refetch()} />
      </div>
    )
  }
  if (!scan) return null
  return (
    <Sheet className="mb-5 px-4 py-3">
      <p className="flex flex-wrap items-center gap-x-4 gap-y-1">
        <Badge look={looks[scan.state]} bare />
        <span className="min-w-0 font-medium break-all">{scan.path}</span>
        <span className="text-[0.8125rem] text-muted">
          {amounts(scan)} · <Time at={scan.finishedAt ?? scan.startedAt} />
        </span>
      </p>
      {scan.state === 'running' ? <Progress scan={scan} /> : null}
      {scan.problems.length > 0 ? <Problems problems={scan.problems} /> : null}
    </Sheet>
  )
}

function amounts({ filesScanned, commitsScanned, findings }: ScanView): string {
  const files = `${filesScanned.toLocaleString()} files`
  const commits = commitsScanned > 0 ? `, ${commitsScanned.toLocaleString()} commits` : ''
  return `${files}${commits}, ${findings.toLocaleString()} findings`
}

function Progress({ scan: { filesScanned, filesTotal } }: { scan: ScanView }) {
  return (
    <progress
      aria-label="Files scanned"
      className="mt-2 block h-1.5 w-full accent-(--brass-mark)"
      {...(filesTotal === null ? {} : { value: filesScanned, max: Math.max(filesTotal, 1) })}
    />
  )
}

function Problems({ problems }: { problems: ScanView['problems'] }) {
  return (
    <details className="mt-1.5 text-[0.8125rem]">
      <summary className="inline-block min-h-6 font-medium text-wait">
        {problems.length === 1 ? '1 file could not be read' : `${problems.length} files could not be read`}
      </summary>
      <ul className="mt-1 flex flex-col gap-0.5">
        {problems.map(({ file, reason }) => (
          <li key={file} className="break-all">
            <code>{file}</code> <span className="text-muted">{reason}</span>
          </li>
        ))}
      </ul>
    </details>
  )
}
