import { api, type ScheduleView } from '@keyward/contract'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { type Clock, cronOf, localZone, rhythms } from '../../ui/clock.ts'
import { ClockFields } from '../../ui/clock-fields.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { DialogForm } from '../../ui/dialog-form.tsx'
import { Check, Input, Select } from '../../ui/field.tsx'
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

const clocks = [...rhythms, ['none', 'not by the clock']] as const
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
  clock: Clock<(typeof clocks)[number][0]>
  history: ScheduleView['history']
  watch: boolean
  propose: boolean
  provider: (typeof providers)[number][0]
  repository: string
}

const empty: Draft = {
  path: '',
  clock: { rhythm: '30 3 * * *', cron: '', timeZone: localZone() },
  history: 'new',
  watch: false,
  propose: true,
  provider: 'none',
  repository: '',
}

function requestOf({ path, clock, history, watch, propose, provider, repository }: Draft) {
  return {
    path: path.trim(),
    cron: clock.rhythm === 'none' ? null : cronOf(clock),
    timeZone: clock.timeZone.trim(),
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
  return (
    <DialogForm action="Add it" work={create} onClose={onClose}>
      <Input
        label="Folder"
        required
        placeholder="/srv/projects/shop"
        autoComplete="off"
        spellCheck={false}
        value={draft.path}
        onChange={({ target }) => set({ path: target.value })}
      />
      <ClockFields clock={draft.clock} options={clocks} onChange={(clock) => set({ clock })} />
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
    </DialogForm>
  )
}
