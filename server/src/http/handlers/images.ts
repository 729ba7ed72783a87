import { type ImageView, imagesApi } from '@keyward/contract'
import type { Identity } from '../../identity/index.ts'
import type { Image, Images } from '../../images/index.ts'
import { type Resource, type Route, route } from '../route.ts'

type Needs = { images: Pick<Images, 'list' | 'add' | 'verify' | 'remove'> }

export const imageRoutes = ({ images }: Needs): Route[] => [
  route(imagesApi.list, async () => ({ items: (await images.list()).map(viewOf) })),
  route(imagesApi.add, async ({ name, archive, digest }, { principal }) => {
    const { image, examples } = await images.add({ name, archive, digest, by: principal })
    return { image: viewOf(image), examples: [...examples] }
  }),
  route(imagesApi.verify, async ({ imageName }) => viewOf(await images.verify(imageName))),
  route(imagesApi.remove, async ({ imageName }, { principal }) => {
    await images.remove(imageName, principal)
    return {}
  }),
]

type AgentNeeds = { identity: Pick<Identity, 'agent'>; images: Pick<Images, 'assign'> }

export const agentImageRoutes = ({ identity, images }: AgentNeeds): Route[] => [
  route(
    imagesApi.assign,
    async ({ agentId, image }, { principal }) => {
      await images.assign(agentId, image, principal)
      return { agentId, image }
    },
    async ({ agentId }): Promise<Resource> => {
      const agent = await identity.agent(agentId)
      return { type: 'RegisteredAgent', id: agentId, attributes: agent ? { owner: agent.owner } : {} }
    },
  ),
]

const viewOf = ({ environment: _, addedAt, ...image }: Image): ImageView => ({
  ...image,
  addedAt: addedAt.toISOString(),
})
