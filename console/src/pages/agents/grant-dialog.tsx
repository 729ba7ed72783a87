import { type AgentView, api } from '@keyward/contract'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Input, Select, TextArea } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { useAnnouncedChange } from '../../ui/use-announced-change.ts'
import { type Duration, durations, secondsOf } from './grant-durations.ts'
import {
  type InjectionKind,
  injectionFields,
  injectionKinds,
  injectionOf,
  missingField,
} from './injection-forms.ts'
import { readPlaces } from './places.ts'

type Written = {
  readonly secretPath: string
  readonly field: string
  readonly places: string
  readonly kind: InjectionKind
  readonly uses: string
  readonly usesPerMinute: string
  readonly duration: Duration
  readonly delegable: boolean
  readonly reason: string
}

const empty: Written = {
  secretPath: 'secret/',
  field: 'value',
  places: '',
  kind: 'bearer',
  uses: '',
  usesPerMinute: '',
  duration: 'day',
  delegable: false,
  reason: '',
}

/** What a grant lacks, by the field that shows it. */
function problemsIn(written: Written, details: Readonly<Record<string, string>>) {
  const read = readPlaces(written.places)
  const wrong = 'wrong' in read ? read.wrong : undefined
  return {
    secretPath: /^[^/]+\/.+[^/]$/.test(written.secretPath) ? undefined : 'Name a secret, mount first.',
    places:
      wrong === undefined
        ? undefined
        : wrong === ''
          ? 'Name at least one host.'
          : `This is no place: ${wrong}`,
    kind: missingField(written.kind, details),
    reason: written.reason.trim().length < 3 ? 'Say it in three characters or more.' : undefined,
  }
}

const numberOf = (text: string): number | undefined => (text.trim() === '' ? undefined : Number(text))

/** Lets an agent borrow a secret: where it may go, how it is sent, how much of it, until when. */
export function GrantDialog({ agent, onClose }: { agent: AgentView; onClose: () => void }) {
  const [written, setWritten] = useState(empty)
  const [details, setDetails] = useState<Readonly<Record<string, string>>>({})
  const [told, setTold] = useState(false)
  const problems = problemsIn(written, details)
  const change = (next: Partial<Written>): void => setWritten({ ...written, ...next })
  const grant = useAnnouncedChange(
    {
      work: () => {
        const { secretPath, field, places, kind, uses, usesPerMinute, duration, delegable, reason } = written
        const read = readPlaces(places)
        return call(api.grants.create, {
          agentId: agent.id,
          secretPath,
          field,
          destinations: 'places' in read ? read.places : [],
          injection: injectionOf(kind, details),
          budget: { uses: numberOf(uses), usesPerMinute: numberOf(usesPerMinute) },
          expiresInSeconds: secondsOf(duration),
          delegable,
          reason: reason.trim(),
        })
      },
      done: `${agent.name} may borrow the secret`,
      onDone: onClose,
    },
    ['grants'],
  )
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (Object.values(problems).every((problem) => problem === undefined)) grant.mutate()
  }
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Let ${agent.name} borrow a secret`}
      description="Nothing is lent yet: the agent asks for leases, each of which keeps within this. Whoever grants a secret lets it out to the hosts named here."
    >
      <form onSubmit={submit} noValidate autoComplete="off" className="flex flex-col gap-4">
        <div className="grid gap-3 sm:grid-cols-[1fr_8rem]">
          <Input
            label="Secret"
            value={written.secretPath}
            spellCheck={false}
            hint="Mount first: secret/shop/stripe"
            onChange={({ target }) => change({ secretPath: target.value })}
            error={told ? problems.secretPath : undefined}
          />
          <Input
            label="Field"
            value={written.field}
            spellCheck={false}
            onChange={({ target }) => change({ field: target.value })}
          />
        </div>
        <TextArea
          label="Where it may go"
          rows={2}
          value={written.places}
          spellCheck={false}
          placeholder="POST api.stripe.com/v1/*/refunds"
          hint="One place a line. Methods and path narrow it."
          onChange={({ target }) => change({ places: target.value })}
          error={told ? problems.places : undefined}
        />
        <Select
          label="How it is sent"
          value={written.kind}
          options={injectionKinds}
          onChange={(kind) => {
            change({ kind })
            setDetails({})
          }}
        />
        <Details
          kind={written.kind}
          written={details}
          missing={told ? problems.kind : undefined}
          onChange={setDetails}
        />
        <div className="grid gap-3 sm:grid-cols-3">
          <Input
            label="Uses of a lease"
            type="number"
            min={1}
            value={written.uses}
            placeholder="any"
            onChange={({ target }) => change({ uses: target.value })}
          />
          <Input
            label="Uses a minute"
            type="number"
            min={1}
            value={written.usesPerMinute}
            placeholder="any"
            onChange={({ target }) => change({ usesPerMinute: target.value })}
          />
          <Select
            label="For"
            value={written.duration}
            options={durations}
            onChange={(duration) => change({ duration })}
          />
        </div>
        <label className="flex min-h-6 items-center gap-2.5">
          <input
            type="checkbox"
            checked={written.delegable}
            onChange={({ target }) => change({ delegable: target.checked })}
          />
          It may pass parts of it on to other agents
        </label>
        <TextArea
          label="Reason"
          rows={2}
          value={written.reason}
          maxLength={500}
          hint="Kept in the audit log with your name."
          onChange={({ target }) => change({ reason: target.value })}
          error={told ? problems.reason : undefined}
        />
        {grant.error ? <Failure error={grant.error} /> : null}
        <div className="flex justify-end gap-2">
          <Button tone="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button tone="solid" type="submit" busy={grant.isPending}>
            Grant it
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

type DetailsProps = {
  kind: InjectionKind
  written: Readonly<Record<string, string>>
  missing: string | undefined
  onChange: (written: Readonly<Record<string, string>>) => void
}

/** What the chosen kind wants to know beside. */
function Details({ kind, written, missing, onChange }: DetailsProps) {
  const fields = injectionFields[kind]
  if (fields.length === 0) return null
  return (
    <div className="flex flex-col gap-3 border-l-2 border-line pl-3">
      {fields.map(({ name, label, hint, isOptional, as }) => {
        const shared = {
          label: isOptional ? `${label} (optional)` : label,
          value: written[name] ?? '',
          spellCheck: false,
          hint: hint ?? (as === 'list' ? 'With commas between.' : undefined),
          error: label === missing ? 'Fill this in.' : undefined,
        }
        const change = ({ target }: { target: { value: string } }): void =>
          onChange({ ...written, [name]: target.value })
        return as === 'lines' ? (
          <TextArea key={name} {...shared} rows={2} onChange={change} />
        ) : (
          <Input key={name} {...shared} type={as === 'number' ? 'number' : 'text'} onChange={change} />
        )
      })}
    </div>
  )
}
