export { type Sql, type SqlValue, sql, sqlList } from './sql.ts'
export type { ColumnTypes, Dialect, Durability, Migration, Reader, Store, Tx } from './store.ts'
