import { api } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Input, TextArea } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { ShownOnce } from '../../ui/shown-once.tsx'

type Registered = { name: string; apiKey: string }

/** Registers an agent, then shows its key: once, and only until the dialog is closed. */
export function RegisterDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const [registered, setRegistered] = useState<Registered>()
  const close = (): void => {
    setRegistered(undefined)
    onClose()
  }
  return (
    <Dialog
      open={open}
      onClose={close}
      dismissible={!registered}
      title={registered ? `The key of ${registered.name}` : 'Register an agent'}
      description={registered ? null : 'You own it: you see what it does, and can stop it at any time.'}
    >
      {registered ? (
        <ShownOnce value={registered.apiKey} label="Copy the API key" onClose={close}>
          This key is shown now and never again: Keyward keeps only its hash. Hand it to the agent through its
          environment, not through a file in a project.
        </ShownOnce>
      ) : (
        <Form onDone={setRegistered} onCancel={close} />
      )}
    </Dialog>
  )
}

const validName = /^[a-z0-9][a-z0-9-]{0,62}$/

function Form({ onDone, onCancel }: { onDone: (registered: Registered) => void; onCancel: () => void }) {
  const client = useQueryClient()
  const [name, setName] = useState('')
  const [description, setDescription] = useState('')
  const [told, setTold] = useState(false)
  const register = useMutation({
    mutationFn: () => call(api.agents.register, { name, description }),
    gcTime: 0,
    onSuccess: ({ agent, apiKey }) => {
      onDone({ name: agent.name, apiKey })
      announce(`${agent.name} is registered`)
      return client.invalidateQueries({ queryKey: ['agents'] })
    },
  })
  const wrong = !validName.test(name)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (!wrong) register.mutate()
  }
  return (
    <form onSubmit={submit} noValidate className="flex flex-col gap-4">
      <Input
        label="Name"
        required
        value={name}
        autoComplete="off"
        spellCheck={false}
        placeholder="release-bot"
        hint="Small letters, digits and hyphens."
        onChange={({ target }) => setName(target.value)}
        error={
          told && wrong ? 'Use 1 to 63 small letters, digits and hyphens, and no hyphen first.' : undefined
        }
      />
      <TextArea
        label="What it does"
        value={description}
        maxLength={500}
        rows={2}
        onChange={({ target }) => setDescription(target.value)}
      />
      {register.error ? <Failure error={register.error} /> : null}
      <div className="flex justify-end gap-2">
        <Button tone="quiet" onClick={onCancel}>
          Cancel
        </Button>
        <Button tone="solid" type="submit" busy={register.isPending}>
          Register
        </Button>
      </div>
    </form>
  )
}
