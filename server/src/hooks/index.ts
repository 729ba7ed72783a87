export { forgetDeliveries, hooksMigrations, lastDeliveries, takeDelivery } from './deliveries-store.ts'
export {
  contentDigest,
  type Delivery,
  deliveryIdOf,
  headerOf,
  isSame,
  isSignedByGitHub,
  jsonOf,
} from './delivery.ts'
