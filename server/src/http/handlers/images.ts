import { type ImageView, imagesApi } from '@keyward/contract'
import type { Image, Images } from '../../images/index.ts'
import { type Route, route } from '../route.ts'

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

const viewOf = ({ environment: _, addedAt, ...image }: Image): ImageView => ({
  ...image,
  addedAt: addedAt.toISOString(),
})
