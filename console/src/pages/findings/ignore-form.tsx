import { api } from '@keyward/contract'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { Input, Select, TextArea } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { useTriage } from './use-triage.ts'

type Props = {
  findingIds: readonly string[]
  /** Said when it is done. */
  done: string
  action: string
  onCancel: () => void
  onDone: () => void
}

const shortestReason = 3
const spans = [
  ['ever', 'for ever'],
  ['30', 'for 30 days'],
  ['90', 'for 90 days'],
  ['day', 'up to a day'],
] as const
type Span = (typeof spans)[number][0]

/** Why, and for how long. */
export function IgnoreForm({ findingIds, done, action, onCancel, onDone }: Props) {
  const [reason, setReason] = useState('')
  const [span, setSpan] = useState<Span>('ever')
  const [day, setDay] = useState('')
  const [told, setTold] = useState(false)
  const ignore = useTriage({
    work: () =>
      call(api.findings.ignore, {
        findingIds: [...findingIds],
        reason: reason.trim(),
        until: endOf(span, day),
      }),
    done,
    onDone,
  })
  const short = reason.trim().length < shortestReason
  const noDay = span === 'day' && day === ''
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (!short && !noDay) ignore.mutate()
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <TextArea
        label="Why may it stay?"
        hint="Kept in the audit log with your name."
        value={reason}
        maxLength={500}
        autoFocus
        onChange={({ target }) => setReason(target.value)}
        error={told && short ? 'Say it in three characters or more.' : undefined}
      />
      <Select label="How long?" value={span} options={spans} onChange={setSpan} />
      {span === 'day' ? (
        <Input
          label="The last day, in UTC"
          type="date"
          value={day}
          onChange={({ target }) => setDay(target.value)}
          error={told && noDay ? 'Choose a day.' : undefined}
        />
      ) : null}
      {ignore.error ? <Failure error={ignore.error} /> : null}
      <div className="flex gap-2">
        <Button type="submit" busy={ignore.isPending}>
          {action}
        </Button>
        <Button tone="quiet" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </form>
  )
}

const dayMilliseconds = 86_400_000

function endOf(span: Span, day: string): string | null {
  if (span === 'ever') return null
  const last =
    span === 'day' ? day : new Date(Date.now() + Number(span) * dayMilliseconds).toISOString().slice(0, 10)
  return `${last}T23:59:59.999Z`
}
