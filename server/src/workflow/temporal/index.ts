export {
  createTemporalHost,
  type TemporalCondition,
  type TemporalHost,
  type TemporalNeeds,
} from './temporal-host.ts'
