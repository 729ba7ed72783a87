import { type AskView, api, injectionText } from '@keyward/contract'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { destinationText } from '../../ui/destination.ts'
import { Dialog } from '../../ui/dialog.tsx'
import { Input, Select } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { useAnnouncedChange } from '../../ui/use-announced-change.ts'
import { type Duration, durations, secondsOf } from './grant-durations.ts'

/** Takes a secret from a person, masked, for the places that they tick. */
export function AnswerDialog({ ask, onClose }: { ask: AskView; onClose: () => void }) {
  const [value, setValue] = useState('')
  const [places, setPlaces] = useState(() => ask.destinations.map(() => true))
  const [duration, setDuration] = useState<Duration>('day')
  const [told, setTold] = useState(false)
  const destinations = ask.destinations.filter((_, i) => places[i])
  const answer = useAnnouncedChange(
    {
      work: () =>
        call(api.asks.answer, { askId: ask.id, value, destinations, expiresInSeconds: secondsOf(duration) }),
      done: `${ask.agentName} may borrow ${ask.name}`,
      onDone: () => {
        setValue('')
        onClose()
      },
    },
    ['asks', 'grants', 'secrets', 'status'],
  )
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (value !== '' && destinations.length > 0) answer.mutate()
  }
  return (
    <Dialog
      open
      onClose={onClose}
      title={`A secret for ${ask.agentName}`}
      description={
        <>
          “{ask.reason}” It is kept as <code className="break-all text-ink">{ask.secretPath}</code> and lent{' '}
          {injectionText(ask.injection)}. The agent gets a reference, never the value.
        </>
      }
    >
      <form onSubmit={submit} noValidate autoComplete="off" className="flex flex-col gap-4">
        <fieldset className="flex flex-col gap-1.5">
          <legend className="mb-1 text-[0.8125rem] font-medium">It can be sent here, and nowhere else</legend>
          {ask.destinations.map((place, i) => (
            <label key={destinationText(place)} className="flex min-h-6 items-start gap-2.5">
              <input
                type="checkbox"
                className="mt-1"
                checked={places[i] ?? false}
                onChange={({ target }) =>
                  setPlaces((all) => all.map((on, at) => (at === i ? target.checked : on)))
                }
              />
              <code className="break-all">{destinationText(place)}</code>
            </label>
          ))}
          {told && destinations.length === 0 ? (
            <p role="alert" className="text-xs font-medium text-bad">
              Leave at least one, or deny it.
            </p>
          ) : null}
        </fieldset>
        <Input
          label={ask.field === 'value' ? 'The secret' : `The secret (${ask.field})`}
          type="password"
          value={value}
          autoComplete="off"
          spellCheck={false}
          hint="It leaves this page once, to the vault, and is not shown again."
          onChange={({ target }) => setValue(target.value)}
          error={told && value === '' ? 'Enter the secret.' : undefined}
        />
        <Select
          label="The agent may borrow it for"
          value={duration}
          options={durations}
          onChange={setDuration}
        />
        {answer.error ? <Failure error={answer.error} /> : null}
        <div className="flex justify-end gap-2">
          <Button tone="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button tone="solid" type="submit" busy={answer.isPending}>
            Store and grant it
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
