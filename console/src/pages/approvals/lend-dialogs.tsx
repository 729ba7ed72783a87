import { api, type Json } from '@keyward/contract'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { peopleQuery, sessionQuery } from '../../api/queries.ts'
import { Dialog } from '../../ui/dialog.tsx'
import { DialogForm } from '../../ui/dialog-form.tsx'
import { Input, Select, TextArea } from '../../ui/field.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { type Change, useAnnouncedChange } from '../../ui/use-announced-change.ts'

type Props = { open: boolean; onClose: () => void }

const useRightsChange = <R,>(change: Change<R>) => useAnnouncedChange(change, ['rights'])

const spans = [
  ['3600', 'an hour'],
  ['28800', '8 hours'],
  ['86400', 'a day'],
] as const
const longSpans = [...spans, ['604800', '7 days'], ['2592000', '30 days']] as const

const reasonInput = (value: string, set: (reason: string) => void) => (
  <Input
    label="Reason (kept in the audit log)"
    required
    minLength={3}
    maxLength={500}
    value={value}
    onChange={({ target }) => set(target.value)}
  />
)

/** Lends one's own right to answer to somebody else. */
export function DelegateDialog({ open, onClose }: Props) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Let somebody answer for you"
      description="Each answer says in whose right it was given. It is no second voice, and approves neither what you nor what they asked for."
    >
      <People onClose={onClose} />
    </Dialog>
  )
}

function People({ onClose }: Pick<Props, 'onClose'>) {
  const { data, error } = useInfiniteQuery(peopleQuery)
  const { data: session } = useQuery(sessionQuery)
  if (error) return <Failure error={error} />
  if (!data) return <Skeleton rows={2} label="Loading the people" />
  const others = data.pages
    .flatMap(({ items }) => items)
    .filter(({ id, disabled }) => !disabled && `person:${id}` !== session?.principal)
    .map(({ id, name }) => [id, name] as const)
  const [first] = others
  if (!first) return <p>Nobody else has an account.</p>
  return <Delegate people={others} first={first[0]} onClose={onClose} />
}

type DelegateProps = {
  people: readonly (readonly [id: string, name: string])[]
  first: string
  onClose: () => void
}

function Delegate({ people, first, onClose }: DelegateProps) {
  const [personId, setPerson] = useState(first)
  const [span, setSpan] = useState<(typeof longSpans)[number][0]>('86400')
  const [reason, setReason] = useState('')
  const lend = useRightsChange({
    work: () => call(api.delegations.create, { personId, ttlSeconds: Number(span), reason: reason.trim() }),
    done: 'Your right is lent',
    onDone: onClose,
  })
  return (
    <DialogForm action="Lend it" work={lend} onClose={onClose}>
      <div className="grid gap-4 sm:grid-cols-2">
        <Select label="Who" value={personId} options={people} onChange={setPerson} />
        <Select label="For" value={span} options={longSpans} onChange={setSpan} />
      </div>
      {reasonInput(reason, setReason)}
    </DialogForm>
  )
}

/** Allows an action on a target before it is asked for. */
export function AheadDialog({ open, onClose }: Props) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Allow something ahead"
      description="In your name, without asking. Your own requests, questions for several people and those that need a second factor are asked all the same."
    >
      <Ahead onClose={onClose} />
    </Dialog>
  )
}

const risks = [
  ['low', 'low'],
  ['medium', 'low or medium'],
] as const

function Ahead({ onClose }: Pick<Props, 'onClose'>) {
  const [written, setWritten] = useState({ action: '', target: '', requestedBy: '', args: '', reason: '' })
  const [maxRisk, setRisk] = useState<(typeof risks)[number][0]>('low')
  const [span, setSpan] = useState<(typeof spans)[number][0]>('3600')
  const args = objectOf(written.args)
  const { action, target, requestedBy, reason } = written
  const allow = useRightsChange({
    work: () =>
      call(api.approvalGrants.create, {
        action: action.trim(),
        target: target.trim(),
        args,
        maxRisk,
        ttlSeconds: Number(span),
        reason: reason.trim(),
        ...(requestedBy.trim() === '' ? {} : { requestedBy: requestedBy.trim() }),
      }),
    done: 'It is allowed ahead',
    onDone: onClose,
  })
  const text = (name: keyof typeof written) => ({
    value: written[name],
    spellCheck: false,
    autoComplete: 'off',
    onChange: (event: { target: { value: string } }) =>
      setWritten((before) => ({ ...before, [name]: event.target.value })),
  })
  return (
    <DialogForm action="Allow it" work={allow} onClose={onClose} disabled={!args}>
      <div className="grid gap-4 sm:grid-cols-2">
        <Input label="Action" required placeholder="github.create-branch" {...text('action')} />
        <Input label="Target" required placeholder="example/shop" {...text('target')} />
        <Select label="Of a risk that is" value={maxRisk} options={risks} onChange={setRisk} />
        <Select label="For" value={span} options={spans} onChange={setSpan} />
      </div>
      <Input label="Asked by" placeholder="anybody but you, or agent:agt_…" {...text('requestedBy')} />
      <TextArea
        label="Arguments that must be so"
        hint="As JSON; the others may be anything"
        rows={2}
        placeholder='{"base": "main"}'
        error={args ? undefined : 'This is not a JSON object yet.'}
        {...text('args')}
      />
      {reasonInput(reason, (value) => setWritten((before) => ({ ...before, reason: value })))}
    </DialogForm>
  )
}

/** Nothing is no argument at all. Undefined for what is not an object of JSON. */
function objectOf(text: string): Record<string, Json> | undefined {
  try {
    const value: unknown = JSON.parse(text.trim() || '{}')
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, Json>)
      : undefined
  } catch {
    return undefined
  }
}
