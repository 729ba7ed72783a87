import { api, type FindingView } from '@keyward/contract'
import { EyeOff, RotateCcw } from 'lucide-react'
import { useId, useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { ignorable } from './finding-group.tsx'
import { IgnoreForm } from './ignore-form.tsx'
import { useTriage } from './use-triage.ts'

type Props = { findings: FindingView[]; picked: FindingView[]; onPick: (ids: string[]) => void }

/** What can be done with many findings at once: all of them or none, and each can be taken back. */
export function TriageBar({ findings, picked, onPick }: Props) {
  const [ignoring, setIgnoring] = useState(false)
  const all = useId()
  const toIgnore = picked.filter(ignorable).map(({ id }) => id)
  const toReopen = picked.filter(({ state }) => state === 'ignored').map(({ id }) => id)
  const reopen = useTriage({
    work: () => call(api.findings.reopen, { findingIds: toReopen }),
    done: `${toReopen.length} opened again`,
    onDone: () => onPick([]),
  })
  const choosable = findings.filter((finding) => ignorable(finding) || finding.state === 'ignored')
  if (choosable.length === 0) return null
  const every = picked.length === choosable.length
  return (
    <>
      <div className="sticky top-16 z-20 mb-3 flex min-h-9 flex-wrap items-center gap-x-4 gap-y-2 bg-canvas py-1 pl-4">
        <span className="inline-flex items-center gap-3.5">
          <input
            id={all}
            type="checkbox"
            checked={every}
            ref={(box) => {
              if (box) box.indeterminate = picked.length > 0 && !every
            }}
            onChange={() => onPick(every ? [] : choosable.map(({ id }) => id))}
            className="size-4 accent-(--solid)"
          />
          <label htmlFor={all}>{picked.length > 0 ? `${picked.length} chosen` : 'Choose all shown'}</label>
        </span>
        {toIgnore.length > 0 ? (
          <Button size="small" icon={EyeOff} onClick={() => setIgnoring(true)}>
            Ignore {toIgnore.length}…
          </Button>
        ) : null}
        {toReopen.length > 0 ? (
          <Button size="small" icon={RotateCcw} busy={reopen.isPending} onClick={() => reopen.mutate()}>
            Open {toReopen.length} again
          </Button>
        ) : null}
      </div>
      {reopen.error ? (
        <div className="mb-3">
          <Failure error={reopen.error} />
        </div>
      ) : null}
      <Dialog
        open={ignoring}
        onClose={() => setIgnoring(false)}
        title={toIgnore.length === 1 ? 'Ignore one finding' : `Ignore ${toIgnore.length} findings`}
        description="They stay ignored when they are seen again. It can be taken back."
      >
        <IgnoreForm
          findingIds={toIgnore}
          done={toIgnore.length === 1 ? 'One finding is ignored' : `${toIgnore.length} findings are ignored`}
          action="Ignore them"
          onCancel={() => setIgnoring(false)}
          onDone={() => {
            setIgnoring(false)
            onPick([])
          }}
        />
      </Dialog>
    </>
  )
}
