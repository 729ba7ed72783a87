export { type Channels, createChannels } from './channels.ts'
export { channelsMigrations } from './channels-store.ts'
export { channelConnectors } from './connectors.ts'
export type { Inbound, Reply } from './inbound.ts'
