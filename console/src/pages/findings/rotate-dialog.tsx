import type { FindingView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ArrowRight, ExternalLink } from 'lucide-react'
import { explanationQuery } from '../../api/finding-queries.ts'
import { Button, buttonStyle } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { importable } from './finding-group.tsx'

type Props = { open: boolean; finding: FindingView; onClose: () => void }

/** How the key is changed, and what of it Keyward can do. It begins with the move into the vault. */
export function RotateDialog({ open, finding, onClose }: Props) {
  const { data, error, refetch } = useQuery({ ...explanationQuery(finding.id), enabled: open })
  return (
    <Dialog open={open} onClose={onClose} title={`Change the key: ${finding.title}`}>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {data ? null : error ? null : <Skeleton rows={3} label="Reading what can be done" />}
      {data ? (
        <>
          <ol className="flex list-decimal flex-col gap-2 pl-5">
            {data.rotation.steps.map((step) => (
              <li key={step} className="text-pretty">
                {step}
              </li>
            ))}
          </ol>
          <div className="mt-5 flex flex-wrap justify-end gap-2">
            {data.rotation.address ? (
              <a href={data.rotation.address} target="_blank" rel="noreferrer" className={buttonStyle()}>
                Keys of {finding.provider}
                <ExternalLink size={15} aria-label="(opens in a new tab)" />
              </a>
            ) : null}
            {importable(finding) ? (
              <Link to="/findings/import" search={{ pick: [finding.id] }} className={buttonStyle('solid')}>
                Begin: review import
                <ArrowRight size={15} aria-hidden="true" />
              </Link>
            ) : (
              <Button onClick={onClose}>Close</Button>
            )}
          </div>
        </>
      ) : null}
    </Dialog>
  )
}
