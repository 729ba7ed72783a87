import { api } from '@keyward/contract'
import { useMutation } from '@tanstack/react-query'
import { Eye, EyeOff } from 'lucide-react'
import { useEffect, useState } from 'react'
import { call } from '../../api/index.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { CopyButton } from '../../ui/copy.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Failure } from '../../ui/notice.tsx'

const shownSeconds = 30

type Props = { path: string; field: string; version?: number }

/** One field: its name, and on a person's explicit wish its value for half a minute. The value is in no cache. */
export function RevealField({ path, field, version }: Props) {
  const [asking, setAsking] = useState(false)
  const [value, setValue] = useState<string>()
  const reveal = useMutation({
    mutationFn: () => call(api.secrets.reveal, { path, field, version }),
    gcTime: 0,
    onSuccess: (result) => {
      setValue(result.value)
      setAsking(false)
      reveal.reset()
      announce(`The value is shown for ${shownSeconds} seconds`)
    },
  })
  return (
    <div className="flex min-h-12 flex-wrap items-center gap-x-3 gap-y-1 px-3 py-2">
      <code className="font-medium">{field}</code>
      {value === undefined ? (
        <>
          <span className="flex-1 tracking-widest text-muted" aria-hidden="true">
            ••••••••••
          </span>
          <Button size="small" icon={Eye} onClick={() => setAsking(true)}>
            Reveal…
            <span className="sr-only">
              {' '}
              {field}
              {version === undefined ? '' : ` of version ${version}`}
            </span>
          </Button>
        </>
      ) : (
        <Shown value={value} field={field} onHide={() => setValue(undefined)} />
      )}
      <Dialog
        open={asking}
        onClose={() => setAsking(false)}
        title={`Reveal ${field}?`}
        description={
          <>
            The value of <code className="break-all text-ink">{path}</code>
            {version === undefined ? '' : `, version ${version},`} will stand on this screen for{' '}
            {shownSeconds} seconds. That you looked is written to the audit log first.
          </>
        }
      >
        {reveal.error ? <Failure error={reveal.error} /> : null}
        <div className="mt-4 flex justify-end gap-2">
          <Button tone="quiet" onClick={() => setAsking(false)}>
            Cancel
          </Button>
          <Button tone="solid" icon={Eye} busy={reveal.isPending} onClick={() => reveal.mutate()}>
            Reveal for {shownSeconds} s
          </Button>
        </div>
      </Dialog>
    </div>
  )
}

function Shown({ value, field, onHide }: { value: string; field: string; onHide: () => void }) {
  const [left, setLeft] = useState(shownSeconds)
  useEffect(() => {
    const timer = setInterval(() => setLeft((seconds) => seconds - 1), 1000)
    return () => clearInterval(timer)
  }, [])
  useEffect(() => {
    if (left <= 0) onHide()
  }, [left, onHide])
  return (
    <>
      <span className="flex min-w-0 flex-1 items-center gap-1">
        <code className="min-w-0 break-all" data-revealed="">
          {value}
        </code>
        <CopyButton text={value} label={`Copy the value of ${field}`} />
      </span>
      <span className="text-xs text-muted tabular-nums">{left} s</span>
      <Button size="small" icon={EyeOff} onClick={onHide}>
        Hide
      </Button>
    </>
  )
}
