import { api, type ImageView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { Trash2 } from 'lucide-react'
import { useState } from 'react'
import { imagesQuery } from '../../api/agent-queries.ts'
import { call } from '../../api/index.ts'
import { bytesText } from '../../ui/amounts.ts'
import { IconButton } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Command } from '../../ui/copy.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Section, Sheet } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'
import { useAnnouncedChange } from '../../ui/use-announced-change.ts'

/** Root file systems that commands can run in. They are added where their archives lie, on the server's machine. */
export function ImagesList() {
  const { data, error, refetch } = useQuery(imagesQuery)
  return (
    <div className="mt-8">
      <Section title="Images">
        {error ? (
          <div className="mb-3">
            <Failure error={error} retry={() => void refetch()} />
          </div>
        ) : null}
        {data?.items.length === 0 ? (
          <p className="mb-3 text-muted">Commands find the programs of the machine.</p>
        ) : null}
        {data && data.items.length > 0 ? (
          <Sheet className="mb-3">
            <ul className="divide-y divide-line">
              {data.items.map((image) => (
                <ImageLine key={image.name} image={image} />
              ))}
            </ul>
          </Sheet>
        ) : null}
        <Command text="keyward sandbox image add NAME --from ARCHIVE" />
      </Section>
    </div>
  )
}

function ImageLine({ image }: { image: ImageView }) {
  const { name, digest, sizeBytes, files, source, addedAt, inUse, agents } = image
  const [asking, setAsking] = useState(false)
  const remove = useAnnouncedChange(
    {
      work: () => call(api.images.remove, { imageName: name }),
      done: `${name} is removed`,
      onDone: () => setAsking(false),
    },
    ['sandboxes'],
  )
  return (
    <li className="flex items-start justify-between gap-4 px-4 py-3">
      <div className="min-w-0">
        <h3 className="font-medium">{name}</h3>
        <p className="text-[0.8125rem] wrap-anywhere text-muted">
          {bytesText(sizeBytes)}, {files} files, of {source}, added <Time at={addedAt} />
          <code className="block">{digest}</code>
        </p>
        <p className="text-[0.8125rem]">{useText(image)}</p>
      </div>
      <IconButton
        icon={Trash2}
        label={`Remove the image ${name}`}
        disabled={inUse + agents.length > 0}
        className="disabled:pointer-events-none disabled:opacity-40"
        onClick={() => setAsking(true)}
      />
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Remove the image?"
        description={`Tasks that name ${name} fail from now on; they never run with the machine’s files instead.`}
        action="Remove it"
        dismiss="Keep it"
        work={remove}
      />
    </li>
  )
}

function useText({ inUse, agents }: ImageView): string {
  const commands = inUse === 0 ? 'Nothing runs in it' : `Commands that run in it: ${inUse}`
  return agents.length === 0 ? commands : `${commands} · agents that use it: ${agents.length}`
}
