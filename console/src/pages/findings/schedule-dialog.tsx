import { api, type ScheduleView } from '@keyward/contract'
import { type FormEvent, type ReactNode, useId, useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Input, Select } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { useTriage } from './use-triage.ts'

type Props = { open: boolean; onClose: () => void }

export function ScheduleDialog({ open, onClose }: Props) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Add a schedule"
      description="The folder is on the machine where the server runs. Scanning reads and changes nothing."
    >
      <Form onClose={onClose} />
    </Dialog>
  )
}

const rhythms = [
  ['30 3 * * *', 'every night at 03:30'],
  ['0 * * * *', 'every hour'],
  ['0 7 * * 1-5', 'Monday to Friday at 07:00'],
  ['own', 'as I write it'],
  ['none', 'not by the clock'],
] as const
const histories = [
  ['new', 'new commits only'],
  ['all', 'all of it, each time'],
  ['none', 'none of it'],
] as const
const providers = [
  ['none', 'no'],
  ['github', 'GitHub'],
  ['gitlab', 'GitLab'],
] as const

type Draft = {
  path: string
  rhythm: (typeof rhythms)[number][0]
  cron: string
  timeZone: string
  history: ScheduleView['history']
  watch: boolean
  propose: boolean
  provider: (typeof providers)[number][0]
  repository: string
}

const empty: Draft = {
  path: '',
  rhythm: '30 3 * * *',
  cron: '',
  timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  history: 'new',
  watch: false,
  propose: true,
  provider: 'none',
  repository: '',
}

function requestOf({ path, rhythm, cron, timeZone, history, watch, propose, provider, repository }: Draft) {
  return {
    path: path.trim(),
    cron: rhythm === 'none' ? null : rhythm === 'own' ? cron.trim() : rhythm,
    timeZone: timeZone.trim(),
    history,
    watch,
    propose,
    push: provider === 'none' ? null : { provider, repository: repository.trim() },
  }
}

function Form({ onClose }: { onClose: () => void }) {
  const [draft, setDraft] = useState(empty)
  const set = (change: Partial<Draft>): void => setDraft((before) => ({ ...before, ...change }))
  const create = useTriage({
    work: () => call(api.schedules.create, requestOf(draft)),
    done: `${draft.path} is scanned from now on`,
    onDone: onClose,
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    create.mutate()
  }
  const byClock = draft.rhythm !== 'none'
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <Input
        label="Folder"
        required
        placeholder="/srv/projects/shop"
        autoComplete="off"
        spellCheck={false}
        value={draft.path}
        onChange={({ target }) => set({ path: target.value })}
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <Select
          label="By the clock"
          value={draft.rhythm}
          options={rhythms}
          onChange={(rhythm) => set({ rhythm })}
        />
        {byClock ? (
          <Input
            label="Time zone"
            required
            value={draft.timeZone}
            onChange={({ target }) => set({ timeZone: target.value })}
          />
        ) : null}
      </div>
      {draft.rhythm === 'own' ? (
        <Input
          label="Five fields of cron"
          hint="Minute, hour, day of the month, month, day of the week"
          required
          placeholder="30 3 * * 1-5"
          value={draft.cron}
          onChange={({ target }) => set({ cron: target.value })}
        />
      ) : null}
      <div className="grid gap-4 sm:grid-cols-2">
        <Select
          label="After a push, told by"
          value={draft.provider}
          options={providers}
          onChange={(provider) => set({ provider })}
        />
        {draft.provider === 'none' ? null : (
          <Input
            label="Repository"
            required
            placeholder="owner/name"
            value={draft.repository}
            onChange={({ target }) => set({ repository: target.value })}
          />
        )}
        <Select
          label="Git history"
          value={draft.history}
          options={histories}
          onChange={(history) => set({ history })}
        />
      </div>
      <Check checked={draft.watch} onChange={(watch) => set({ watch })}>
        Look at files as they change, too
      </Check>
      <Check checked={draft.propose} onChange={(propose) => set({ propose })}>
        Propose what is newly found for import
      </Check>
      {create.error ? <Failure error={create.error} /> : null}
      <div className="flex justify-end gap-2">
        <Button tone="quiet" onClick={onClose}>
          Cancel
        </Button>
        <Button tone="solid" type="submit" busy={create.isPending}>
          Add it
        </Button>
      </div>
    </form>
  )
}

type CheckProps = { checked: boolean; onChange: (checked: boolean) => void; children: ReactNode }

function Check({ checked, onChange, children }: CheckProps) {
  const id = useId()
  return (
    <div className="flex items-center gap-2.5">
      <input
        id={id}
        type="checkbox"
        checked={checked}
        onChange={({ target }) => onChange(target.checked)}
        className="size-4 accent-(--solid)"
      />
      <label htmlFor={id}>{children}</label>
    </div>
  )
}
