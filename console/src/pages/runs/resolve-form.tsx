import { api, type Json, type TaskView } from '@keyward/contract'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { TextArea } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { useRunChange } from './run-actions.tsx'

type Said = { effect: 'done' | 'none'; output?: Json; reason: string }

/** For a task of which nobody knows whether it happened: a person has looked, and says so. */
export function ResolveForm({ runId, task }: { runId: string; task: TaskView }) {
  const [effect, setEffect] = useState<Said['effect']>()
  const [output, setOutput] = useState('')
  const [reason, setReason] = useState('')
  const [told, setTold] = useState(false)
  const resolve = useRunChange<Said>(
    runId,
    (said) => call(api.runs.resolve, { runId, taskId: task.id, ...said }),
    () => 'The run goes on with your answer',
  )
  const given = parsed(output)
  const complete = effect !== undefined && reason.trim() !== '' && given.ok
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (!complete || !effect) return
    const known = effect === 'done' && given.value !== undefined ? { output: given.value } : {}
    resolve.mutate({ effect, reason: reason.trim(), ...known })
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4 rounded-lg border border-odd/50 bg-odd-wash p-4">
      <p className="text-pretty">
        The server ended between calling and hearing, so this task may or may not have happened. It is not
        repeated by itself. Look at {task.action.split('.')[0] ?? 'the service'}, then say what you found.
      </p>
      <fieldset className="flex flex-col gap-1.5">
        <legend className="sr-only">What you found</legend>
        <Found name="done" text="It happened: go on with what comes after" {...{ effect, setEffect }} />
        <Found name="none" text="It did not happen: run it again" {...{ effect, setEffect }} />
        {told && effect === undefined ? (
          <p role="alert" className="text-xs font-medium text-bad">
            Choose one of the two.
          </p>
        ) : null}
      </fieldset>
      {effect === 'done' ? (
        <TextArea
          label="Its outcome, as JSON (for the tasks that need it)"
          value={output}
          rows={2}
          spellCheck={false}
          onChange={({ target }) => setOutput(target.value)}
          error={given.ok ? undefined : 'This is no JSON.'}
        />
      ) : null}
      <TextArea
        label="How you know"
        hint="Kept in the audit log with your name."
        value={reason}
        rows={2}
        maxLength={1000}
        onChange={({ target }) => setReason(target.value)}
        error={told && reason.trim() === '' ? 'Say how you know.' : undefined}
      />
      {resolve.error ? <Failure error={resolve.error} /> : null}
      <div>
        <Button tone="solid" type="submit" busy={resolve.isPending}>
          Say so
        </Button>
      </div>
    </form>
  )
}

type FoundProps = {
  name: Said['effect']
  text: string
  effect: Said['effect'] | undefined
  setEffect: (effect: Said['effect']) => void
}

function Found({ name, text, effect, setEffect }: FoundProps) {
  return (
    <label className="flex items-start gap-2.5">
      <input
        type="radio"
        name="effect"
        className="mt-1 accent-[var(--brass)]"
        checked={effect === name}
        onChange={() => setEffect(name)}
      />
      {text}
    </label>
  )
}

function parsed(text: string): { ok: boolean; value?: Json } {
  if (text.trim() === '') return { ok: true }
  try {
    return { ok: true, value: JSON.parse(text) }
  } catch {
    return { ok: false }
  }
}
