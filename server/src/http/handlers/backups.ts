import { backupsApi } from '@keyward/contract'
import { type Backups, viewOf } from '../../backup/index.ts'
import { type Route, route } from '../route.ts'

type Needs = { backups: Pick<Backups, 'create' | 'configure' | 'status'> }

export function backupRoutes({ backups }: Needs): Route[] {
  return [
    route(backupsApi.list, () => backups.status()),
    route(backupsApi.create, async (_, { principal }) => viewOf(await backups.create(principal))),
    route(backupsApi.configure, async (settings, { principal }) => {
      await backups.configure(principal, settings)
      return {}
    }),
  ]
}
