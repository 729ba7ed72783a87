import { api } from '@keyward/contract'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { imagesQuery } from '../../api/agent-queries.ts'
import { call } from '../../api/index.ts'
import { announce } from '../../ui/announcer.tsx'
import { Select } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'

/** In which image the commands of an agent run unless their task names another. */
export function AgentImage({ agentId }: { agentId: string }) {
  const { data, error } = useQuery(imagesQuery)
  if (error) return <Failure error={error} />
  if (!data) return null
  const image = data.items.find(({ agents }) => agents.includes(agentId))?.name ?? ''
  return <Choice agentId={agentId} image={image} names={data.items.map(({ name }) => name)} />
}

type Props = { agentId: string; image: string; names: readonly string[] }

function Choice({ agentId, image, names }: Props) {
  const client = useQueryClient()
  const assign = useMutation({
    mutationFn: (to: string) => call(api.images.assign, { agentId, image: to === '' ? null : to }),
    onSuccess: () => {
      announce('The image is changed')
      return client.invalidateQueries({ queryKey: imagesQuery.queryKey })
    },
  })
  return (
    <div className="flex flex-col gap-3">
      <Select
        label="Image of its commands"
        hint="Unless a task names another"
        value={image}
        options={[['', 'the machine’s own files'] as const, ...names.map((name) => [name, name] as const)]}
        onChange={(to) => assign.mutate(to)}
      />
      {assign.error ? <Failure error={assign.error} /> : null}
    </div>
  )
}
