import { api } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useId, useState } from 'react'
import { call } from '../../api/index.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Input } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'

export function ScanDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Scan a folder"
      description="The folder is on the machine where the server runs. Scanning reads and changes nothing."
    >
      <ScanForm onClose={onClose} />
    </Dialog>
  )
}

function ScanForm({ onClose }: { onClose: () => void }) {
  const client = useQueryClient()
  const history = useId()
  const [path, setPath] = useState('')
  const [withHistory, setWithHistory] = useState(true)
  const scan = useMutation({
    mutationFn: () => call(api.findings.startScan, { path: path.trim(), history: withHistory }),
    onSuccess: async () => {
      announce('The scan has started')
      onClose()
      await client.invalidateQueries({ queryKey: ['scans'] })
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (path.trim() !== '') scan.mutate()
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <Input
        label="Folder"
        required
        placeholder="/home/me/project"
        autoComplete="off"
        spellCheck={false}
        value={path}
        onChange={({ target }) => setPath(target.value)}
      />
      <div className="flex items-center gap-2.5">
        <input
          id={history}
          type="checkbox"
          checked={withHistory}
          onChange={({ target }) => setWithHistory(target.checked)}
          className="size-4 accent-(--solid)"
        />
        <label htmlFor={history}>Search the git history too</label>
      </div>
      {scan.error ? <Failure error={scan.error} /> : null}
      <div className="flex justify-end gap-2">
        <Button tone="quiet" onClick={onClose}>
          Cancel
        </Button>
        <Button tone="solid" type="submit" busy={scan.isPending}>
          Start the scan
        </Button>
      </div>
    </form>
  )
}
