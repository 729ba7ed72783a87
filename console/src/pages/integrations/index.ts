export { ChannelsPage } from './channels-page.tsx'
export { ConnectionsPage } from './connections-page.tsx'
