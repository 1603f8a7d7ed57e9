// The rows in view of a list of any length: the document has no others.
import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from "@tanstack/virtual-core";
import { useCallback, useLayoutEffect, useReducer, useState } from "preact/hooks";

// *items* have a key; *heightOf* gives the pixels of each in the element of *scroller*
export function useVirtual(items, heightOf, scroller) {
  const rerender = useReducer((count) => count + 1, 0)[1];
  const key = useCallback((place) => items[place].key, [items]);
  const options = {
    count: items.length, getScrollElement: () => scroller.current, estimateSize: (place) => heightOf(items[place]), getItemKey: key,
    overscan: 8, observeElementRect, observeElementOffset, scrollToFn: elementScroll, onChange: () => rerender(),
  };
  const [virtualizer] = useState(() => new Virtualizer(options));
  virtualizer.setOptions(options);
  useLayoutEffect(() => virtualizer._didMount(), []);
  useLayoutEffect(() => virtualizer._willUpdate());
  return virtualizer;
}
